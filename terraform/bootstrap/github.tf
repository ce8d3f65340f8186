# GitHub's way in, without a stored key: one role that may look (pull requests), one that may change (one branch).
# What the second may do is in deploy.tf; what any role it makes may do at most is the boundary in boundary.tf.

locals {
  oidc_host    = "token.actions.githubusercontent.com"
  oidc_arn     = "arn:${local.partition}:iam::${local.account}:oidc-provider/${local.oidc_host}"
  on_branch    = "repo:${var.repository}:ref:refs/heads/${var.branch}"
  on_pull      = "repo:${var.repository}:pull_request"
  ci_path      = "/${var.name}-ci/"
  boundary     = "${var.name}-boundary"
  boundary_arn = "arn:${local.partition}:iam::${local.account}:policy/${local.boundary}"
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_oidc_provider ? 1 : 0

  url            = "https://${local.oidc_host}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "trust" {
  for_each = {
    plan   = [local.on_pull, local.on_branch]
    deploy = [local.on_branch]
  }

  statement {
    sid     = "GitHub"
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [local.oidc_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.oidc_host}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.oidc_host}:sub"
      values   = each.value
    }
  }
}

resource "aws_iam_role" "ci" {
  for_each = data.aws_iam_policy_document.trust

  # A path of its own: the deploy role may change roles named NAME-*, so neither of these.
  path                 = local.ci_path
  name                 = "${var.name}-${each.key}"
  description          = "GitHub Actions of ${var.repository}: ${each.key}"
  assume_role_policy   = each.value.json
  max_session_duration = 3600

  depends_on = [aws_iam_openid_connect_provider.github]
}

# Both read state and take its lock; a plan writes nothing else.
data "aws_iam_policy_document" "state" {
  for_each = {
    plan   = ["arn:${local.partition}:s3:::${local.bucket}/*.tflock"]
    deploy = ["arn:${local.partition}:s3:::${local.bucket}/*.tflock", "arn:${local.partition}:s3:::${local.bucket}/*.tfstate"]
  }

  statement {
    sid       = "FindState"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
  }

  statement {
    sid       = "ReadState"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/*"]
  }

  statement {
    sid       = "WriteStateOrLock"
    actions   = ["s3:PutObject"]
    resources = each.value
  }

  statement {
    sid       = "Unlock"
    actions   = ["s3:DeleteObject"]
    resources = ["${local.bucket_arn}/*.tflock"]
  }

  dynamic "statement" {
    for_each = var.lock_table ? [1] : []

    content {
      sid       = "LockTable"
      actions   = ["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]
      resources = ["arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${var.name}-state-lock"]
    }
  }
}

resource "aws_iam_role_policy" "state" {
  for_each = data.aws_iam_policy_document.state

  name   = "state"
  role   = aws_iam_role.ci[each.key].name
  policy = each.value.json
}

# A pull request plans with `-refresh=false`: it compares the configuration with the state, asks AWS only what data
# sources ask, and so needs to read nothing of what runs, least of all a secret. The deploy role refreshes.
data "aws_iam_policy_document" "plan" {
  statement {
    sid       = "DataSources"
    actions   = ["ec2:DescribeAvailabilityZones", "ec2:DescribeManagedPrefixLists", "secretsmanager:GetRandomPassword"]
    resources = ["*"]
  }

  statement {
    sid       = "PublicParameters"
    actions   = ["ssm:GetParameter"]
    resources = ["arn:${local.partition}:ssm:${var.region}::parameter/aws/service/*"]
  }
}

resource "aws_iam_role_policy" "plan" {
  name   = "plan"
  role   = aws_iam_role.ci["plan"].name
  policy = data.aws_iam_policy_document.plan.json
}
