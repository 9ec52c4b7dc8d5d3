# The same as good/everything.json.
app     = "shop"
secrets = ["API_TOKEN"]
domains = ["shop.example.com", "*.shop.example.com"]
ports   = ["http:80:5000", "https:443:5000"]
host "production" {
  address  = "dokku@host.example.com:2222"
  host_key = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
}
image {
  registry  = "registry.example.com/team/shop"
  platforms = ["linux/amd64", "linux/arm64/v8"]
}
build {
  builder = "image"
  context = "."
  dir     = "apps/shop"
  watch   = ["libs/**", "go.mod"]
  image   = "registry.example.com/team/shop:1"
  args    = { VERSION = "1.2", N = 2 }
  secrets = ["NPM_TOKEN"]
  ssh     = ["default", "deploy"]
  dockerfile {
    path   = "docker/Dockerfile"
    target = "run"
  }
  static {
    base    = "nginx:alpine"
    dir     = "public"
    dest    = "/srv"
    command = "./server $PORT"
    make    = "go build -o $OUT/server ."
  }
  pack {
    builder    = "heroku/builder:24"
    buildpacks = ["heroku/nodejs@1.2"]
    env        = { NODE_ENV = "production" }
    run_image  = "heroku/heroku:24"
  }
  cache {
    from   = ["type=registry,ref=r.example.com/shop:cache"]
    to     = "type=registry,ref=r.example.com/shop:cache"
    image  = "r.example.com/shop:cache"
    volume = true
  }
}
config {
  LOG_LEVEL = "info"
  N         = 1
  YES       = true
  STAGE     = env("STAGE")
}
formation "web" {
  quantity     = 2
  memory       = "512m"
  cpu          = 0.5
  stop_timeout = "30s"
  max_parallel = -1
}
formation "worker" {
  quantity     = "1"
  cpu          = "1.5"
  stop_timeout = 90
}
checks {
  disabled       = ["worker"]
  skipped        = ["_all_"]
  wait           = 5
  wait_to_retire = "2m"
}
storage {
  mounts = ["/var/lib/dokku/data/storage/shop:/data:ro", "cache-1:/cache"]
}
docker_options {
  build  = ["--build-arg A=1"]
  deploy = ["--shm-size 256m"]
  run    = ["--ulimit nofile=1024"]
}
nginx {
  access-log-format       = "main"
  access-log-path         = "off"
  bind-address-ipv4       = "127.0.0.1"
  bind-address-ipv6       = "::1"
  client-body-timeout     = "60s"
  client-header-timeout   = "60s"
  client-max-body-size    = "20m"
  disable-custom-config   = true
  error-log-path          = "/var/log/nginx/shop.log"
  hsts                    = true
  hsts-include-subdomains = false
  hsts-max-age            = 15724800
  hsts-preload            = "false"
  keepalive-timeout       = "75s"
  lingering-timeout       = "5s"
  nginx-conf-sigil-path   = "config/nginx.conf.sigil"
  proxy-buffer-size       = "4k"
  proxy-buffering         = "on"
  proxy-buffers           = "8 4k"
  proxy-busy-buffers-size = "8k"
  proxy-connect-timeout   = "60s"
  proxy-keepalive         = 16
  proxy-read-timeout      = "60s"
  proxy-send-timeout      = "60s"
  send-timeout            = "60s"
  underscore-in-headers   = "off"
  x-forwarded-for-value   = "$remote_addr"
  x-forwarded-port-value  = "$server_port"
  x-forwarded-proto-value = "$scheme"
  x-forwarded-ssl         = "on"
}
service "db" { plugin = "postgres" }
service "cache" {
  plugin = "redis"
  link   = false
}
review {
  domain  = "review.example.com"
  ttl     = "3d"
  max     = 5
  inherit = ["LOG_LEVEL"]
}
environment "production" {
  domains = []
  config { LOG_LEVEL = "warn" }
  formation "web" { quantity = 4 }
  service "db" { link = false }
}
server "one" {
  address  = "root@host"
  host_key = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
  apps     = ["shop"]
  domains  = ["example.com"]
  config { A = "1" }
  plugin "redis" {
    url        = "https://github.com/dokku/dokku-redis.git"
    committish = "1.43.0"
  }
  ssh_key "ci" { public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0nKq7rVZ8LUS2yhbl0fWnU1W6Jb1fQ0Q1yQ1yQ1yQ1 ci@example" }
}
