module example.com/cnbgo

go 1.26
