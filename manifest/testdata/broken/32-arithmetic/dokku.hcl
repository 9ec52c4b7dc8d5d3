formation "web" {
  quantity = 1 + 1
}

config {
  LIST = [for x in ["a"] : x]
  NAME = var.name
}
