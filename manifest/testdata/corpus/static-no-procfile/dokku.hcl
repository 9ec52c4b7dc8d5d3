app = "brochure"

build {
  builder = "static"
  static {
    base = "nginx:1.27-alpine"
    dir  = "public"
    dest = "/usr/share/nginx/html"
  }
}
