domains = ["www.example.com;", "*.*.example.com", "10.0.0.1"]
ports   = ["http:80:5000", "grpcx:81:5000", "https:443:70000"]
