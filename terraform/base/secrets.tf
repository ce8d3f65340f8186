# Secrets are made by AWS, go through Terraform's memory only and are written write-only: neither plan nor state holds
# one. Addresses that people and scripts look for are plain parameters beside them.

# `own_secrets` is for who keeps them elsewhere, and for tests: a mocked provider has no ephemeral resources.

ephemeral "aws_secretsmanager_random_password" "this" {
  provider = aws.secrets
  for_each = var.own_secrets ? toset([]) : toset(["grafana-admin-password", "database-password"])

  # Letters and digits only, so that a URL or an .env file needs no escaping.
  password_length     = 32
  exclude_punctuation = true
}

locals {
  grafana_password  = var.own_secrets ? var.secrets.grafana_admin_password : ephemeral.aws_secretsmanager_random_password.this["grafana-admin-password"].random_password
  database_password = var.own_secrets ? var.secrets.database_password : ephemeral.aws_secretsmanager_random_password.this["database-password"].random_password
}

resource "aws_ssm_parameter" "grafana_admin_password" {
  name             = "/${var.name}/grafana-admin-password"
  description      = "Password of Grafana's user admin"
  type             = "SecureString"
  value_wo         = local.grafana_password
  value_wo_version = var.secrets_version
}

resource "aws_ssm_parameter" "prometheus_url" {
  #checkov:skip=CKV2_AWS_34:an address, not a secret
  name        = "/${var.name}/prometheus-url"
  description = "Amazon Managed Prometheus: append api/v1/query or api/v1/remote_write"
  type        = "String"
  value       = aws_prometheus_workspace.this.prometheus_endpoint
}
