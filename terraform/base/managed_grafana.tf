# Amazon Managed Grafana instead of our own: optional, since it needs IAM Identity Center and costs by the user.

data "aws_iam_policy_document" "managed_grafana" {
  count = var.managed_grafana ? 1 : 0

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["grafana.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "managed_grafana" {
  count = var.managed_grafana ? 1 : 0

  name                 = "${var.name}-managed-grafana"
  description          = "What Amazon Managed Grafana may read"
  assume_role_policy   = data.aws_iam_policy_document.managed_grafana[0].json
  permissions_boundary = local.boundary_arn
}

resource "aws_iam_role_policy" "managed_grafana" {
  count = var.managed_grafana ? 1 : 0

  name   = "read"
  role   = aws_iam_role.managed_grafana[0].name
  policy = data.aws_iam_policy_document.grafana.json
}

resource "aws_grafana_workspace" "this" {
  count = var.managed_grafana ? 1 : 0

  name                     = var.name
  description              = "Dashboards of ${var.name}"
  account_access_type      = "CURRENT_ACCOUNT"
  authentication_providers = ["AWS_SSO"]
  permission_type          = "CUSTOMER_MANAGED"
  role_arn                 = aws_iam_role.managed_grafana[0].arn
  data_sources             = ["PROMETHEUS", "XRAY", "CLOUDWATCH"]
}
