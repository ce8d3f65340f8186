# `/` is the app, `/grafana/*` Grafana; with an attached single host its nginx serves `/grafana/*` and `/collect/*`.

locals {
  # Target groups by the container port they lead to.
  targets = var.load_balancer ? merge(
    { "app-http" = { short = "app", port = local.stack.app.ports.http, health = local.stack.app.ready, to_host = false } },
    local.own_backends ? { "grafana-http" = { short = "grafana", port = local.stack.grafana.ports.http, health = local.stack.grafana.health, to_host = false } } : {},
    var.attach_single_host ? { "host" = { short = "host", port = local.stack.nginx.ports.http, health = local.stack.nginx.health, to_host = true } } : {},
  ) : {}

  paths = var.load_balancer ? merge(
    local.own_backends ? { grafana = { target = "grafana-http", patterns = ["/grafana", "/grafana/*"], priority = 10 } } : {},
    var.attach_single_host ? {
      grafana = { target = "host", patterns = ["/grafana", "/grafana/*"], priority = 10 }
      collect = { target = "host", patterns = ["/collect", "/collect/*"], priority = 20 }
    } : {},
  ) : {}

  listeners = var.load_balancer ? (var.certificate_arn == "" ? { http = 80 } : { https = 443, http = 80 }) : {}
  # Where requests are served; the other listener only redirects.
  served = var.certificate_arn == "" ? "http" : "https"
}

resource "aws_security_group" "balancer" {
  count = var.load_balancer ? 1 : 0

  name        = "${var.name}-balancer"
  description = "Load balancer"
  vpc_id      = local.vpc.id

  tags = { Name = "${var.name}-balancer" }
}

resource "aws_vpc_security_group_ingress_rule" "public" {
  #checkov:skip=CKV_AWS_260:port 80 is open to allowed_cidrs only, which is not the world without a certificate; with one it only redirects
  for_each = { for pair in setproduct(keys(local.listeners), var.allowed_cidrs) : join(" ", pair) => { port = local.listeners[pair[0]], cidr = pair[1] } }

  security_group_id = aws_security_group.balancer[0].id
  description       = "Allowed by allowed_cidrs"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "balancer" {
  for_each = toset([for target in local.targets : tostring(target.port)])

  security_group_id = aws_security_group.balancer[0].id
  description       = "To targets on ${each.key}"
  cidr_ipv4         = local.vpc.cidr
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
}

resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_91:access logs would need a bucket of their own; the app logs and traces each request
  #checkov:skip=CKV_AWS_150:it is destroyed every night
  #checkov:skip=CKV2_AWS_28:a web application firewall costs 6 a month at least, a fifth of the budget
  #checkov:skip=CKV2_AWS_20:it redirects where it has a certificate; without one it is open to allowed_cidrs only
  #checkov:skip=CKV2_AWS_76:a web application firewall costs 6 a month at least, a fifth of the budget
  count = var.load_balancer ? 1 : 0

  name                       = "${var.name}-alb"
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = local.base.public_subnet_ids
  security_groups            = [aws_security_group.balancer[0].id]
  drop_invalid_header_fields = true
  enable_deletion_protection = false
  # The longest the app lets a request last is 15 s.
  idle_timeout = 60
}

resource "aws_lb_target_group" "this" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer; behind it is the VPC
  for_each = local.targets

  name                 = "${var.name}-${each.value.short}"
  vpc_id               = local.vpc.id
  port                 = each.value.port
  protocol             = "HTTP"
  target_type          = "ip"
  deregistration_delay = 30

  health_check {
    path                = each.value.health
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_target_group_attachment" "host" {
  count = var.attach_single_host && var.load_balancer ? 1 : 0

  target_group_arn = aws_lb_target_group.this["host"].arn
  target_id        = local.host.private_ip
  port             = local.stack.nginx.ports.http
}

resource "aws_lb_listener" "this" {
  #checkov:skip=CKV_AWS_2:plain HTTP serves only where there is no certificate, to allowed_cidrs only; prod refuses that
  #checkov:skip=CKV_AWS_103:the policy below, for HTTPS
  for_each = local.listeners

  load_balancer_arn = aws_lb.this[0].arn
  port              = each.value
  protocol          = upper(each.key)
  certificate_arn   = each.key == "https" ? var.certificate_arn : null
  ssl_policy        = each.key == "https" ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null

  default_action {
    type             = each.key == local.served ? "forward" : "redirect"
    target_group_arn = each.key == local.served ? aws_lb_target_group.this["app-http"].arn : null

    dynamic "redirect" {
      for_each = each.key == local.served ? [] : [1]

      content {
        protocol    = "HTTPS"
        port        = "443"
        status_code = "HTTP_301"
      }
    }
  }
}

resource "aws_lb_listener_rule" "this" {
  for_each = local.paths

  listener_arn = aws_lb_listener.this[local.served].arn
  priority     = each.value.priority

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[each.value.target].arn
  }

  condition {
    path_pattern {
      values = each.value.patterns
    }
  }
}

# What the load balancer alone can say: that the app is gone, or answers with errors.
resource "aws_cloudwatch_metric_alarm" "balancer" {
  for_each = var.enable_observability && var.load_balancer ? {
    UnHealthyHostCount        = { threshold = 0, statistic = "Maximum", what = "a task of the app fails its health check" }
    HTTPCode_Target_5XX_Count = { threshold = 50, statistic = "Sum", what = "the app answered more than 50 requests with an error in 5 minutes" }
    HTTPCode_ELB_5XX_Count    = { threshold = 10, statistic = "Sum", what = "nothing answered" }
  } : {}

  alarm_name        = "${var.name}-alb-${each.key}"
  alarm_description = each.value.what
  namespace         = "AWS/ApplicationELB"
  metric_name       = each.key
  dimensions = merge(
    { LoadBalancer = aws_lb.this[0].arn_suffix },
    each.key == "HTTPCode_ELB_5XX_Count" ? {} : { TargetGroup = aws_lb_target_group.this["app-http"].arn_suffix },
  )
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = each.key == "UnHealthyHostCount" ? 2 : 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.base.alarm_topic_arn]
  ok_actions          = [local.base.alarm_topic_arn]
}
