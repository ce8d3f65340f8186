# Two roles a task: the execution role starts it (image, log group, its own secrets), the task role is what its programs
# may do. A sidecar shares its task's role. All lie within bootstrap's boundary.

locals {
  boundary_arn  = "arn:${local.partition}:iam::${local.account}:policy/${var.name}-boundary"
  workspace_arn = "arn:${local.partition}:aps:${local.here}:workspace/${aws_prometheus_workspace.this.id}"

  # The load tester speaks to the app and to the app's collector, and to nothing of AWS.
  policies = {
    app     = data.aws_iam_policy_document.telemetry.json
    loki    = data.aws_iam_policy_document.loki.json
    grafana = data.aws_iam_policy_document.grafana.json
  }

  # Containers of each task, and the secrets that its containers get.
  tasks = {
    app = {
      containers = ["app", "collector"]
      secrets    = var.database ? ["database-url"] : []
    }
    load-tester = {
      containers = ["load-tester"]
      secrets    = []
    }
    loki = {
      containers = ["loki"]
      secrets    = []
    }
    grafana = {
      containers = ["grafana"]
      secrets    = ["grafana-admin-password"]
    }
  }
}

data "aws_iam_policy_document" "ecs_tasks" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    # Only tasks of this account: the service must not act for somebody else's.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:ecs:${local.here}:*"]
    }
  }
}

# The collector beside the app: metrics to the workspace, records to their log group, traces to X-Ray.
data "aws_iam_policy_document" "telemetry" {
  statement {
    sid       = "Metrics"
    actions   = ["aps:RemoteWrite"]
    resources = [local.workspace_arn]
  }

  statement {
    sid       = "Records"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = [local.log_arns.telemetry, "${local.log_arns.telemetry}:log-stream:*"]
  }

  statement {
    sid = "WithoutResourceLevel"
    actions = [
      "xray:GetSamplingRules", "xray:GetSamplingStatisticSummaries", "xray:GetSamplingTargets",
      "xray:PutTelemetryRecords", "xray:PutTraceSegments",
    ]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "loki" {
  statement {
    sid       = "FindChunks"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["loki", "loki/*"]
    }
  }

  statement {
    sid       = "Chunks"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["${local.bucket_arn}/loki/*"]
  }
}

data "aws_iam_policy_document" "grafana" {
  statement {
    sid = "Metrics"
    actions = [
      "aps:QueryMetrics", "aps:GetLabels", "aps:GetSeries", "aps:GetMetricMetadata", "aps:ListRules", "aps:ListAlerts",
    ]
    resources = [local.workspace_arn]
  }

  statement {
    sid = "Logs"
    actions = [
      "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetLogGroupFields", "logs:GetQueryResults", "logs:StartQuery",
    ]
    resources = concat(values(local.log_arns), [for arn in values(local.log_arns) : "${arn}:log-stream:*"])
  }

  statement {
    sid       = "Find"
    actions   = ["cloudwatch:DescribeAlarms", "logs:DescribeLogGroups", "xray:GetGroup", "xray:GetInsightSummaries"]
    resources = ["arn:${local.partition}:cloudwatch:${local.here}:alarm:*", "arn:${local.partition}:logs:${local.here}:log-group:*", "arn:${local.partition}:xray:${local.here}:group/*"]
  }

  statement {
    sid = "WithoutResourceLevel"
    actions = [
      "cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "logs:StopQuery",
      "xray:BatchGetTraces", "xray:GetGroups", "xray:GetServiceGraph",
      "xray:GetTimeSeriesServiceStatistics", "xray:GetTraceGraph", "xray:GetTraceSummaries",
    ]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "execution" {
  for_each = local.tasks

  statement {
    sid       = "Images"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [for container in each.value.containers : "arn:${local.partition}:ecr:${local.here}:repository/${var.name}/signalbox-${container}"]
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [for container in each.value.containers : "${local.log_arns[container]}:log-stream:*"]
  }

  dynamic "statement" {
    for_each = length(each.value.secrets) > 0 ? [1] : []

    content {
      sid       = "Secrets"
      actions   = ["ssm:GetParameters"]
      resources = [for secret in each.value.secrets : "arn:${local.partition}:ssm:${local.here}:parameter/${var.name}/${secret}"]
    }
  }

  statement {
    sid       = "WithoutResourceLevel"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "task" {
  for_each = local.tasks

  name                 = "${var.name}-${each.key}-task"
  description          = "What the programs of task ${each.key} may do"
  assume_role_policy   = data.aws_iam_policy_document.ecs_tasks.json
  permissions_boundary = local.boundary_arn
}

resource "aws_iam_role_policy" "task" {
  for_each = local.policies

  name   = "task"
  role   = aws_iam_role.task[each.key].name
  policy = each.value
}

resource "aws_iam_role" "execution" {
  for_each = local.tasks

  name                 = "${var.name}-${each.key}-execution"
  description          = "What ECS needs to start task ${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.ecs_tasks.json
  permissions_boundary = local.boundary_arn
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.tasks

  name   = "execution"
  role   = aws_iam_role.execution[each.key].name
  policy = data.aws_iam_policy_document.execution[each.key].json
}
