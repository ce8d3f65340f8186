# The most that any role made by the deploy role can do, whatever policy it is given: what the stack's own programs
# need. Without this boundary a deploy role that may create roles could make itself an administrator.

locals {
  here      = "${var.region}:${local.account}"
  our_data  = "arn:${local.partition}:s3:::${var.name}-data-${local.account}"
  our_logs  = "arn:${local.partition}:logs:${local.here}:log-group:/${var.name}/*"
  our_param = "arn:${local.partition}:ssm:${local.here}:parameter/${var.name}/*"
  our_topic = "arn:${local.partition}:sns:${local.here}:${var.name}-*"
}

data "aws_iam_policy_document" "boundary" {
  statement {
    sid = "Metrics"
    actions = [
      "aps:RemoteWrite", "aps:QueryMetrics", "aps:GetLabels", "aps:GetSeries", "aps:GetMetricMetadata",
      "aps:ListRules", "aps:ListAlerts", "aps:ListAlertManagerAlerts", "aps:ListAlertManagerSilences", "aps:ListAlertManagerAlertGroups",
    ]
    resources = ["arn:${local.partition}:aps:${local.here}:workspace/*"]
  }

  statement {
    sid       = "Data"
    actions   = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = [local.our_data, "${local.our_data}/*"]
  }

  statement {
    sid = "Logs"
    actions = [
      "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents",
      "logs:GetLogGroupFields", "logs:GetQueryResults", "logs:StartQuery",
    ]
    resources = [local.our_logs, "${local.our_logs}:log-stream:*"]
  }

  statement {
    sid       = "Find"
    actions   = ["cloudwatch:DescribeAlarms", "logs:DescribeLogGroups", "xray:GetGroup", "xray:GetInsightSummaries"]
    resources = ["arn:${local.partition}:cloudwatch:${local.here}:alarm:*", "arn:${local.partition}:logs:${local.here}:log-group:*", "arn:${local.partition}:xray:${local.here}:group/*"]
  }

  statement {
    sid       = "Parameters"
    actions   = ["ssm:GetParameter", "ssm:GetParameters"]
    resources = [local.our_param]
  }

  statement {
    sid       = "Images"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = ["arn:${local.partition}:ecr:${local.here}:repository/${var.name}/*"]
  }

  statement {
    sid       = "Notify"
    actions   = ["sns:Publish"]
    resources = [local.our_topic]
  }

  statement {
    sid       = "SessionManager"
    actions   = ["ssm:UpdateInstanceInformation"]
    resources = ["arn:${local.partition}:ec2:${local.here}:instance/*"]
  }

  # AWS offers no resource for these; terraform/tests/star_resources.json says why, action by action.
  statement {
    sid = "WithoutResourceLevel"
    actions = [
      "cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "cloudwatch:PutMetricData",
      "ec2messages:AcknowledgeMessage", "ec2messages:DeleteMessage", "ec2messages:FailMessage", "ec2messages:GetEndpoint",
      "ec2messages:GetMessages", "ec2messages:SendReply",
      "ecr:GetAuthorizationToken",
      "logs:StopQuery",
      "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
      "xray:BatchGetTraces", "xray:GetGroups", "xray:GetSamplingRules",
      "xray:GetSamplingStatisticSummaries", "xray:GetSamplingTargets", "xray:GetServiceGraph", "xray:GetTimeSeriesServiceStatistics",
      "xray:GetTraceGraph", "xray:GetTraceSummaries", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_policy" "boundary" {
  name        = local.boundary
  path        = "/"
  description = "The most that a role of ${var.name} can do"
  policy      = data.aws_iam_policy_document.boundary.json
}
