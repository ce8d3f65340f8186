# One Fargate service: task definition, service, scaling, alarms. Called by runtime/ for each program. It knows nothing of
# what runs in it: images, ports, commands and environment come from the caller, who reads configs/.

locals {
  full_name  = "${var.prefix}-${var.name}"
  containers = { for name, container in var.containers : name => container if var.enable_observability || !container.observability }

  # What Fargate sells, MiB by CPU; the smallest that holds the containers' limits, and Service Connect's proxy.
  sizes = {
    256  = [512, 1024, 2048]
    512  = [1024, 2048, 3072, 4096]
    1024 = [2048, 3072, 4096, 5120, 6144, 7168, 8192]
  }
  proxy  = var.namespace_arn == null ? 0 : 64
  needed = sum([for container in values(local.containers) : container.memory]) + local.proxy
  memory = min([for size in local.sizes[var.cpu] : size if size >= local.needed]...)

  mounts = merge([
    for name, container in local.containers : {
      for folder in concat(["/tmp"], container.writes) : "${name}${replace(folder, "/", "-")}" => { container = name, folder = folder }
    }
  ]...)

  definitions = [
    for name, container in local.containers : {
      name      = name
      image     = container.image
      essential = container.essential
      user      = container.user
      memory    = container.memory
      command   = container.command

      environment = [
        for variable, value in merge(container.environment, var.enable_observability ? {} : { OTEL_SDK_DISABLED = "true" }) : { name = variable, value = value }
      ]
      secrets      = [for variable, parameter in container.secrets : { name = variable, valueFrom = parameter }]
      portMappings = [for role, port in container.ports : { name = "${name}-${role}", containerPort = port, hostPort = port, protocol = "tcp" }]
      mountPoints  = [for volume, mount in local.mounts : { sourceVolume = volume, containerPath = mount.folder, readOnly = false } if mount.container == name]
      volumesFrom  = []
      dependsOn    = [for other in container.after : { containerName = other, condition = "START" } if contains(keys(local.containers), other)]

      readonlyRootFilesystem = true
      privileged             = false
      linuxParameters        = { initProcessEnabled = false, capabilities = { drop = ["ALL"] } }
      # Long enough to flush what is held.
      stopTimeout = 30
      # What is not essential comes back by itself instead of taking the task with it.
      restartPolicy = container.essential ? null : { enabled = true, restartAttemptPeriod = 60 }
      healthCheck = container.health == null ? null : {
        command     = concat(["CMD"], container.health)
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }

      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = container.log_group
          awslogs-region        = var.region
          awslogs-stream-prefix = var.name
          # A program must not stop because its log cannot be delivered.
          mode            = "non-blocking"
          max-buffer-size = "4m"
        }
      }
    }
  ]
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.full_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = local.memory
  task_role_arn            = var.roles.task
  execution_role_arn       = var.roles.execution
  container_definitions    = jsonencode([for definition in local.definitions : { for key, value in definition : key => value if value != null }])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  # Folders that a program may write; each lives as long as its task. Owner and mode come from the image.
  dynamic "volume" {
    for_each = local.mounts

    content {
      name = volume.key
    }
  }

  lifecycle {
    precondition {
      condition     = local.needed <= max(local.sizes[var.cpu]...)
      error_message = "${var.name}: its containers need ${local.needed} MiB; ${var.cpu} CPU units allow ${max(local.sizes[var.cpu]...)}."
    }
  }
}

resource "aws_ecs_service" "this" {
  #checkov:skip=CKV_AWS_333:a public address costs 3.65 a month and a NAT gateway 43; nothing may come in but from the load balancer (base: network)
  name            = var.name
  cluster         = var.cluster.arn
  task_definition = aws_ecs_task_definition.this.arn
  desired_count   = var.tasks.desired
  propagate_tags  = "SERVICE"

  deployment_minimum_healthy_percent = var.only_one ? 0 : 100
  deployment_maximum_percent         = var.only_one ? 100 : 200
  # Two zones to choose from, and nothing to rebalance between them.
  availability_zone_rebalancing     = "DISABLED"
  health_check_grace_period_seconds = length(var.target_groups) > 0 ? 120 : null

  capacity_provider_strategy {
    capacity_provider = "FARGATE"
    base              = var.on_demand
    weight            = var.spot ? 0 : 1
  }

  dynamic "capacity_provider_strategy" {
    for_each = var.spot ? [1] : []

    content {
      capacity_provider = "FARGATE_SPOT"
      weight            = 1
    }
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnets.ids
    security_groups  = [var.security_group_id]
    assign_public_ip = var.subnets.assign_public_ip
  }

  dynamic "load_balancer" {
    for_each = var.target_groups

    content {
      target_group_arn = load_balancer.value
      container_name   = [for name, container in local.containers : name if contains([for role in keys(container.ports) : "${name}-${role}"], load_balancer.key)][0]
      container_port   = merge([for name, container in local.containers : { for role, port in container.ports : "${name}-${role}" => port }]...)[load_balancer.key]
    }
  }

  dynamic "service_connect_configuration" {
    for_each = var.namespace_arn == null ? [] : [1]

    content {
      enabled   = true
      namespace = var.namespace_arn

      dynamic "service" {
        for_each = { for port, name in var.names : port => name if contains(flatten([for container, its in local.containers : [for role in keys(its.ports) : "${container}-${role}"]]), port) }

        content {
          port_name = service.key

          client_alias {
            dns_name = service.value.host
            port     = service.value.port
          }
        }
      }
    }
  }

  dynamic "service_registries" {
    for_each = var.dns_registry_arn == null ? [] : [1]

    content {
      registry_arn = var.dns_registry_arn
    }
  }

  lifecycle {
    # Scaling owns it from the first day on.
    ignore_changes = [desired_count]
  }
}
