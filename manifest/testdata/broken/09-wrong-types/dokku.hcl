domains = "example.com"
build {
  args = ["A"]
}
formation "web" {
  quantity = "many"
}
