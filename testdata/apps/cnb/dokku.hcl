build {
  builder = "pack"
  pack {
    builder = "dokku-push-test/cnb-builder:latest"
    env     = { BUILD_TOKEN = "seen-while-building-only" }
  }
}
