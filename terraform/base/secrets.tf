# Secrets are made by AWS, go through Terraform's memory only and are written write-only: neither plan nor state holds
# one. Addresses that people and scripts look for are plain parameters beside them.

ephemeral "aws_secretsmanager_random_password" "grafana" {
  password_length     = 32
  exclude_punctuation = true
}

resource "aws_ssm_parameter" "grafana_admin_password" {
  name             = "/${var.name}/grafana-admin-password"
  description      = "Password of Grafana's user admin"
  type             = "SecureString"
  value_wo         = ephemeral.aws_secretsmanager_random_password.grafana.random_password
  value_wo_version = var.secrets_version
}

resource "aws_ssm_parameter" "prometheus_url" {
  #checkov:skip=CKV2_AWS_34:an address, not a secret
  name        = "/${var.name}/prometheus-url"
  description = "Amazon Managed Prometheus: append api/v1/query or api/v1/remote_write"
  type        = "String"
  value       = aws_prometheus_workspace.this.prometheus_endpoint
}
