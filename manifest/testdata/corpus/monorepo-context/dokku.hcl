app = "atlas-api"

build {
  context = "services/api"
  dockerfile {
    path   = "docker/Dockerfile"
    target = "runtime"
  }
  args = { GIT_BRANCH = "main" }
}

config {
  ATLAS_REGION = "eu"
}
