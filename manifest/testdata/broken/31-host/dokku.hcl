host "production" {
  address  = "-oProxyCommand=id"
  host_key = "SHA256:short"
}

host "staging" {
}
