server "one" {
  plugin "redis" {
    url = "ext::sh -c id"
  }
  ssh_key "ci" {
    public_key = "not a key"
  }
}
