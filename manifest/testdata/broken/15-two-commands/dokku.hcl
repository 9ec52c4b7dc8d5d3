build {
  builder = "static"
  static {
    command = "./other $PORT"
  }
}
