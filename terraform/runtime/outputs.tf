# What people, the deploy workflow and tests need.

output "url" {
  description = "The app. Grafana is at URL/grafana/. Without a load balancer: `terraform/aws addresses`."
  value       = var.load_balancer ? local.public_url : null
}

output "grafana_url" {
  description = "Grafana, for `signalbox verify --grafana`."
  value       = var.load_balancer ? "${local.public_url}/grafana" : null
}

output "cluster" {
  description = "Name of the ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "services" {
  description = "Names of the ECS services."
  value       = [for service in module.service : service.name]
}

output "load" {
  description = "What `terraform/aws load` starts, and where."
  value = {
    task_definition  = aws_ecs_task_definition.load.arn
    subnets          = local.base.task_subnets.ids
    security_group   = aws_security_group.task["load-tester"].id
    assign_public_ip = local.base.task_subnets.assign_public_ip
  }
}

output "memory" {
  description = "MiB of each service's task, and what its containers need of it."
  value       = { for name, service in module.service : name => service.memory }
}

output "images" {
  description = "Images that run, for going back to them."
  value       = var.images
}
