# What the machine may do: pull our images, read its secrets, keep its data under the backends' prefixes, report its disk and
# memory, and be reached by Session Manager.

locals {
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"
  prefixes   = ["loki", "tempo", "mimir", "pyroscope"]
}

data "aws_iam_policy_document" "ec2" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "host" {
  statement {
    sid       = "Images"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = ["arn:${local.partition}:ecr:${local.here}:repository/${var.name}/*"]
  }

  statement {
    sid       = "FindData"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
  }

  statement {
    sid       = "Data"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = [for prefix in local.prefixes : "${local.bucket_arn}/${prefix}/*"]
  }

  statement {
    sid       = "Secrets"
    actions   = ["ssm:GetParameter"]
    resources = [for secret in ["grafana-admin-password", "tls-certificate", "tls-key"] : "arn:${local.partition}:ssm:${local.here}:parameter/${var.name}/${secret}"]
  }

  statement {
    sid       = "SessionManager"
    actions   = ["ssm:UpdateInstanceInformation"]
    resources = ["arn:${local.partition}:ec2:${local.here}:instance/*"]
  }

  statement {
    sid       = "OwnMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = [var.name]
    }
  }

  statement {
    sid = "WithoutResourceLevel"
    actions = [
      "ecr:GetAuthorizationToken",
      "ec2messages:AcknowledgeMessage", "ec2messages:DeleteMessage", "ec2messages:FailMessage", "ec2messages:GetEndpoint",
      "ec2messages:GetMessages", "ec2messages:SendReply",
      "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role" "this" {
  name                 = "${var.name}-host"
  description          = "What the single host may do"
  assume_role_policy   = data.aws_iam_policy_document.ec2.json
  permissions_boundary = "arn:${local.partition}:iam::${local.account}:policy/${var.name}-boundary"
}

resource "aws_iam_role_policy" "this" {
  name   = "host"
  role   = aws_iam_role.this.name
  policy = data.aws_iam_policy_document.host.json
}

resource "aws_iam_instance_profile" "this" {
  name = "${var.name}-host"
  role = aws_iam_role.this.name
}
