config {
  KEY    = file("../../etc/passwd")
  HOST   = exec("hostname")
  SECRET = env("A_VARIABLE_THAT_IS_NOT_SET")
}
