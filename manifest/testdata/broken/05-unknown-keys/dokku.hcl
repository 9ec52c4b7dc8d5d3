apps = "shop"

build {
  bilder = "pack"
}

formation "web" {
  quantitiy = 2
}
