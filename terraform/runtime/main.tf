# What runs, by the hour: load balancer, app with its collector, Loki, Grafana, load tester. Destroyed when nobody looks
# (`just aws-down`); everything that must stay is in base/. Each fact comes from configs/: ports and health paths from
# stack.json, addresses from environments/cluster.env, memory from limits.json, variables from the config files themselves.

data "terraform_remote_state" "base" {
  backend = "s3"
  config  = { bucket = var.state_bucket, key = "base.tfstate", region = var.region }
}

data "terraform_remote_state" "single_host" {
  count = var.attach_single_host ? 1 : 0

  backend = "s3"
  config  = { bucket = var.state_bucket, key = "single-host.tfstate", region = var.region }
}

locals {
  base   = data.terraform_remote_state.base.outputs
  host   = var.attach_single_host ? data.terraform_remote_state.single_host[0].outputs.host : null
  stack  = jsondecode(file("${path.module}/../../configs/stack.json"))
  limits = jsondecode(file("${path.module}/../../configs/limits.json")).mib

  # NAME=value lines of the environment that every program with a host of its own shares.
  cluster = {
    for line in split("\n", file("${path.module}/../../configs/environments/cluster.env")) :
    split("=", line)[0] => join("=", slice(split("=", line), 1, length(split("=", line))))
    if can(regex("^[A-Z][A-Z0-9_]*=", line))
  }

  # Loki, Grafana and the collector run here unless the single host has them or nobody wants them.
  own_backends = var.enable_observability && !var.attach_single_host

  scheme = var.certificate_arn == "" ? "http" : "https"
  host_name = (
    var.domain != "" ? var.domain :
    var.load_balancer ? aws_lb.this[0].dns_name :
    "localhost"
  )
  public_url = "${local.scheme}://${local.host_name}"

  image = { for name, image in var.images : name => "${image.repository}@${image.digest}" }
}
