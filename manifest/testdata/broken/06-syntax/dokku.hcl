app = "shop

build {
  builder = 
}
