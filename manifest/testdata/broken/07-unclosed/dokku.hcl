config {
  A = "1"
  B = [1, 2
}
