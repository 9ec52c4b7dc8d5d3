docker_options {
  deploy = ["--privileged", "-v /var/run/docker.sock:/s"]
}
storage {
  mounts = ["/:/host"]
}
