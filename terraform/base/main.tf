# What persists between the hours in which runtime/ runs, and costs next to nothing: network, bucket, repositories,
# metrics workspace, secrets, log groups, roles. Ports and names come from configs/, never retyped.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

data "aws_availability_zones" "this" {
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  stack     = jsondecode(file("${path.module}/../../configs/stack.json"))
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  here      = "${var.region}:${local.account}"
  zones     = slice(sort(data.aws_availability_zones.this.names), 0, 2)
  keep_days = var.environment == "prod" ? 30 : 7

  # Every container that runtime/ starts has its log group, and the collector one for the records it passes on.
  log_groups = { for group in ["app", "load-tester", "collector", "loki", "grafana", "telemetry"] : group => "/${var.name}/${group}" }
  log_arns   = { for container, group in local.log_groups : container => "arn:${local.partition}:logs:${local.here}:log-group:${group}" }
}
