secrets = ["API-TOKEN", "HOME_PAGE", "HOME_PAGE"]

build {
  secrets = ["1TOKEN"]
}

config {
  A = ["b"]
}
