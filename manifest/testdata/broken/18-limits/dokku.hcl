formation "web" {
  memory       = "512"
  cpu          = 0
  stop_timeout = "30 seconds"
}
