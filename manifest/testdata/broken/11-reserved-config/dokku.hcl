config {
  PORT       = 5000
  LD_PRELOAD = "x.so"
  DOKKU_TRACE = 1
}
