app = "shop"

environment "production" {
  domains = ["shop_1.example.com"]
  environment "more" {}
}

environment "production" {
}
