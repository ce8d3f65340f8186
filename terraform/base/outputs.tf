# What runtime/, single-host/ and the deploy workflow read, through the state.

output "vpc" {
  description = "The VPC: id and address range."
  value       = { id = aws_vpc.this.id, cidr = aws_vpc.this.cidr_block }
}

output "public_subnet_ids" {
  description = "Subnets of the load balancer and the single host, one a zone."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]
}

output "task_subnets" {
  description = "Where tasks run, and whether they need a public address of their own to reach AWS."
  value = {
    ids              = local.private ? [for zone in local.zones : aws_subnet.private[zone].id] : [for zone in local.zones : aws_subnet.public[zone].id]
    assign_public_ip = !local.private
  }
}

output "data_bucket" {
  description = "Bucket of the backends' blocks and chunks."
  value       = aws_s3_bucket.data.id
}

output "registry" {
  description = "Prefix of every image: `nix run .#push-images -- REGISTRY`."
  value       = "${local.account}.dkr.ecr.${var.region}.amazonaws.com/${var.name}"
}

output "repositories" {
  description = "URL of each image's repository, by image."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.repository_url }
}

output "prometheus" {
  description = "The metrics workspace: id and endpoint (it ends in /)."
  value       = { id = aws_prometheus_workspace.this.id, endpoint = aws_prometheus_workspace.this.prometheus_endpoint }
}

output "log_groups" {
  description = "Log group of each container, and `telemetry` for the records that the collector passes on."
  value       = { for container, group in aws_cloudwatch_log_group.container : container => group.name }
}

output "roles" {
  description = "Task and execution role of each task."
  value       = { for task in keys(local.tasks) : task => { task = aws_iam_role.task[task].arn, execution = aws_iam_role.execution[task].arn } }
}

output "parameters" {
  description = "ARNs of the secret parameters, by name."
  value = merge(
    { grafana-admin-password = aws_ssm_parameter.grafana_admin_password.arn },
    var.database ? { database-url = aws_ssm_parameter.database_url[0].arn } : {},
  )
}

output "database_security_group_id" {
  description = "Security group of the database, where there is one."
  value       = var.database ? aws_security_group.database[0].id : null
}

output "alarm_topic_arn" {
  description = "SNS topic of every alarm."
  value       = aws_sns_topic.alarms.arn
}

output "namespace" {
  description = "Names inside the VPC: Service Connect's, and those of tasks that have no Service Connect."
  value       = { arn = aws_service_discovery_private_dns_namespace.this.arn, id = aws_service_discovery_private_dns_namespace.this.id, name = aws_service_discovery_private_dns_namespace.this.name }
}
