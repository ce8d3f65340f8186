# Who may speak to whom: a security group a service, rules by group, nothing from the internet but through the load balancer.

locals {
  vpc = local.base.vpc
  # Where the public comes in when there is no load balancer.
  doors = { app = local.stack.app.ports.http, grafana = local.stack.grafana.ports.http }

  # from -> to: port
  flows = merge(
    {
      app_to_app       = { from = "app", to = "app", port = local.stack.app.ports.http, what = "the app calls itself (/external)" }
      load_to_app      = { from = "load-tester", to = "app", port = local.stack.app.ports.http, what = "load" }
      load_to_otlp     = { from = "load-tester", to = "app", port = local.collector_port, what = "the load tester's signals" }
      app_to_loki      = { from = "app", to = "loki", port = local.stack.loki.ports.http, what = "records from the collector" }
      grafana_to_loki  = { from = "grafana", to = "loki", port = local.stack.loki.ports.http, what = "queries" }
      grafana_to_otlp  = { from = "grafana", to = "app", port = local.collector_port, what = "Grafana's own signals" }
      loki_to_otlp     = { from = "loki", to = "app", port = local.collector_port, what = "Loki's own signals" }
      balancer_app     = { from = "balancer", to = "app", port = local.stack.app.ports.http, what = "requests" }
      balancer_grafana = { from = "balancer", to = "grafana", port = local.stack.grafana.ports.http, what = "dashboards" }
    },
  )
  groups = merge(
    { for service in keys(local.services) : service => "Tasks of ${service}" },
    { load-tester = "Tasks of the load tester" },
  )
  group_ids = merge(
    { for name, group in aws_security_group.task : name => group.id },
    var.load_balancer ? { balancer = aws_security_group.balancer[0].id } : {},
  )
  known = merge({ for name in keys(local.groups) : name => true }, var.load_balancer ? { balancer = true } : {})
}

resource "aws_security_group" "task" {
  #checkov:skip=CKV2_AWS_5:given to the services of modules/service, and by `terraform/aws load` to the load tester
  for_each = local.groups

  name        = "${var.name}-${each.key}"
  description = each.value
  vpc_id      = local.vpc.id

  tags = { Name = "${var.name}-${each.key}" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "flow" {
  for_each = { for name, flow in local.flows : name => flow if contains(keys(local.known), flow.from) && contains(keys(local.known), flow.to) }

  security_group_id            = local.group_ids[each.value.to]
  referenced_security_group_id = local.group_ids[each.value.from]
  description                  = each.value.what
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# AWS itself (images, parameters, logs, metrics, traces) answers on 443.
resource "aws_vpc_security_group_egress_rule" "aws" {
  for_each = local.groups

  security_group_id = aws_security_group.task[each.key].id
  description       = "HTTPS to AWS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "vpc" {
  for_each = local.groups

  security_group_id = aws_security_group.task[each.key].id
  description       = "Each other; the receiver's rules decide"
  cidr_ipv4         = local.vpc.cidr
  ip_protocol       = "tcp"
  from_port         = 0
  to_port           = 65535
}

resource "aws_vpc_security_group_ingress_rule" "door" {
  for_each = var.load_balancer ? {} : {
    for pair in setproduct([for service in keys(local.doors) : service if contains(keys(local.services), service)], var.allowed_cidrs) :
    "${pair[0]} ${pair[1]}" => { service = pair[0], cidr = pair[1] }
  }

  security_group_id = aws_security_group.task[each.value.service].id
  description       = "Allowed by allowed_cidrs"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = local.doors[each.value.service]
  to_port           = local.doors[each.value.service]
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  # An output that is null is not in the state at all.
  count = try(local.base.database_security_group_id, null) == null ? 0 : 1

  security_group_id            = local.base.database_security_group_id
  referenced_security_group_id = aws_security_group.task["app"].id
  description                  = "The app"
  ip_protocol                  = "tcp"
  from_port                    = local.stack.postgresql.ports.sql
  to_port                      = local.stack.postgresql.ports.sql
}

resource "aws_vpc_security_group_ingress_rule" "host" {
  for_each = var.attach_single_host ? merge(
    { app = { from = aws_security_group.task["app"].id, port = local.collector_port, what = "the app's signals" } },
    { load = { from = aws_security_group.task["load-tester"].id, port = local.collector_port, what = "the load tester's signals" } },
    var.load_balancer ? { balancer = { from = aws_security_group.balancer[0].id, port = local.stack.nginx.ports.http, what = "Grafana and what browsers send" } } : {},
  ) : {}

  security_group_id            = local.host.security_group_id
  referenced_security_group_id = each.value.from
  description                  = each.value.what
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}
