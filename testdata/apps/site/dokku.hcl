build {
  builder = "static"
  static {
    base = "base" # an OCI layout folder that the test writes beside this file
    dir  = "public"
    dest = "/www"
  }
}
