service "atlas-db" {
  plugin = "postgres"
}
