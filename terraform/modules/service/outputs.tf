# What the caller needs of a service.

output "name" {
  description = "Name of the ECS service."
  value       = aws_ecs_service.this.name
}

output "task_definition_arn" {
  description = "The task definition."
  value       = aws_ecs_task_definition.this.arn
}

output "containers" {
  description = "Container definitions, for tests and for running one by hand."
  value       = local.definitions
}

output "memory" {
  description = "MiB of a task, and what its containers and proxy need of it."
  value       = { task = local.memory, needed = local.needed }
}
