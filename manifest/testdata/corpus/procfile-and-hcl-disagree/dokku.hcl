build {
  builder = "static"
  static {
    base    = "busybox:stable"
    command = "httpd -f -p 8080"
  }
}
