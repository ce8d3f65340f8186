# PostgreSQL for the app: optional. Private, encrypted, TLS enforced; the app gets one URL from a secret parameter.

locals {
  database_port = local.stack.postgresql.ports.sql
}

resource "aws_db_subnet_group" "this" {
  count = var.database ? 1 : 0

  name       = "${var.name}-database"
  subnet_ids = [for subnet in aws_subnet.private : subnet.id]
}

# Who may come in is runtime's rule: the app's security group lives there.
resource "aws_security_group" "database" {
  #checkov:skip=CKV2_AWS_5:attached to the database below, where there is one
  count = var.database ? 1 : 0

  name        = "${var.name}-database"
  description = "PostgreSQL from the app"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-database" }
}

resource "aws_db_parameter_group" "this" {
  count = var.database ? 1 : 0

  name   = "${var.name}-database"
  family = "postgres17"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  # Statements that take longer than half a second; the app's spans have the rest.
  parameter {
    name  = "log_min_duration_statement"
    value = "500"
  }
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_157:a second zone doubles the price; prod data here is a demo's task list
  #checkov:skip=CKV_AWS_118:enhanced monitoring costs log ingestion; the app's own database spans and metrics show the same
  #checkov:skip=CKV_AWS_353:performance insights are not offered on the smallest classes
  #checkov:skip=CKV_AWS_161:the app signs in with a password from a secret parameter; IAM tokens would need AWS code in it
  #checkov:skip=CKV_AWS_293:protected in prod; a dev database must go with `terraform destroy`
  count = var.database ? 1 : 0

  identifier     = "${var.name}-database"
  engine         = "postgres"
  engine_version = "17"
  instance_class = var.database_class

  allocated_storage = 20
  storage_type      = "gp3"
  storage_encrypted = true

  db_name             = "signalbox"
  username            = "signalbox"
  password_wo         = local.database_password
  password_wo_version = var.secrets_version
  port                = local.database_port

  db_subnet_group_name   = aws_db_subnet_group.this[0].name
  vpc_security_group_ids = [aws_security_group.database[0].id]
  parameter_group_name   = aws_db_parameter_group.this[0].name
  publicly_accessible    = false
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  auto_minor_version_upgrade      = true
  backup_retention_period         = local.keep_days
  copy_tags_to_snapshot           = true
  enabled_cloudwatch_logs_exports = ["postgresql"]
  deletion_protection             = var.environment == "prod"
  skip_final_snapshot             = var.environment != "prod"
  final_snapshot_identifier       = var.environment == "prod" ? "${var.name}-database-last" : null
}

resource "aws_ssm_parameter" "database_url" {
  count = var.database ? 1 : 0

  name             = "/${var.name}/database-url"
  description      = "The app's DATABASE_URL"
  type             = "SecureString"
  value_wo         = "postgres://signalbox:${local.database_password}@${aws_db_instance.this[0].address}:${local.database_port}/signalbox?sslmode=require"
  value_wo_version = var.secrets_version
}
