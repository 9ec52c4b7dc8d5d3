nginx {
  client_max_body_size = "20m"
  hsts                 = "yes"
  access-log-path      = "/etc/cron.d/log"
}
