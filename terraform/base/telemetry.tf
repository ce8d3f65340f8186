# Where signals go: metrics to Amazon Managed Prometheus with the same rule files as the local stack, traces to X-Ray,
# containers' own output to CloudWatch Logs. (Loki's chunks are in storage.tf.)

resource "aws_cloudwatch_log_group" "container" {
  for_each = local.log_groups

  name              = each.value
  retention_in_days = local.keep_days
}

# The workspace's own complaints: a rule that fails to evaluate, an alert that could not be sent.
resource "aws_cloudwatch_log_group" "metrics" {
  name              = "/${var.name}/amp"
  retention_in_days = local.keep_days
}

resource "aws_prometheus_workspace" "this" {
  alias = var.name

  logging_configuration {
    log_group_arn = "${aws_cloudwatch_log_group.metrics.arn}:*"
  }
}

locals {
  rules_dir  = "${path.module}/../../configs/prometheus/rules"
  rule_files = fileset(local.rules_dir, "*.yaml")
}

resource "aws_prometheus_rule_group_namespace" "this" {
  for_each = local.rule_files

  name         = trimsuffix(each.key, ".yaml")
  workspace_id = aws_prometheus_workspace.this.id
  data         = file("${local.rules_dir}/${each.key}")
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch alarms cannot publish to a topic under the AWS managed key, and a key of our own costs US$1 a month; the messages hold no secret
  name = "${var.name}-alarms"
}

data "aws_iam_policy_document" "alarms" {
  statement {
    sid       = "AlarmsAndBudgets"
    actions   = ["sns:Publish"]
    resources = ["arn:${local.partition}:sns:${local.here}:${var.name}-alarms"]

    principals {
      type        = "Service"
      identifiers = ["aps.amazonaws.com", "budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

resource "aws_sns_topic_subscription" "mail" {
  count = var.alarm_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_prometheus_alert_manager_definition" "this" {
  workspace_id = aws_prometheus_workspace.this.id
  definition = yamlencode({
    alertmanager_config = yamlencode({
      route = {
        receiver        = "alarms"
        group_by        = ["alertname", "job"]
        group_wait      = "30s"
        group_interval  = "5m"
        repeat_interval = "4h"
      }
      receivers = [{
        name = "alarms"
        sns_configs = [{
          topic_arn     = aws_sns_topic.alarms.arn
          sigv4         = { region = var.region }
          send_resolved = true
          subject       = "{{ .CommonLabels.alertname }} {{ .Status }}"
        }]
      }]
    })
  })

  depends_on = [aws_sns_topic_policy.alarms]
}

resource "aws_xray_group" "this" {
  group_name        = var.name
  filter_expression = "service(\"${local.stack.app.service_name}\")"

  insights_configuration {
    insights_enabled = false
  }
}

# Asked by samplers that listen to X-Ray (the collector can); the SDK's own sampler decides for the app by default.
resource "aws_xray_sampling_rule" "this" {
  rule_name      = "${var.name}-app"
  priority       = 1000
  version        = 1
  reservoir_size = 1
  fixed_rate     = var.trace_sampling
  service_name   = local.stack.app.service_name
  service_type   = "*"
  host           = "*"
  http_method    = "*"
  url_path       = "*"
  resource_arn   = "*"
}
