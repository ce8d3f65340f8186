# The cluster, and a service for each program.

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:container insights cost as much as a task; CPU and memory of a service come without
  name = var.name

  setting {
    name  = "containerInsights"
    value = "disabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

# The one address for tasks that have no Service Connect: the load tester. A record, not a load balancer.
resource "aws_service_discovery_service" "app" {
  name          = "app-task"
  force_destroy = true

  dns_config {
    namespace_id   = local.base.namespace.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

module "service" {
  source   = "../modules/service"
  for_each = local.services

  prefix               = var.name
  name                 = each.key
  region               = var.region
  cluster              = { arn = aws_ecs_cluster.this.arn, name = aws_ecs_cluster.this.name }
  cpu                  = each.value.cpu
  architecture         = var.architecture
  roles                = local.base.roles[each.key]
  containers           = each.value.containers
  subnets              = local.base.task_subnets
  security_group_id    = aws_security_group.task[each.key].id
  spot                 = var.spot
  tasks                = each.value.tasks
  only_one             = each.value.only_one
  schedule             = var.schedule
  namespace_arn        = local.base.namespace.arn
  names                = { for port, url in each.value.names : port => { host = regex("^http://([^:/]+):([0-9]+)$", url)[0], port = tonumber(regex("^http://([^:/]+):([0-9]+)$", url)[1]) } }
  dns_registry_arn     = each.key == "app" ? aws_service_discovery_service.app.arn : null
  target_groups        = var.load_balancer ? { for port in each.value.target_groups : port => aws_lb_target_group.this[port].arn } : {}
  alarm_topic_arn      = local.base.alarm_topic_arn
  enable_observability = var.enable_observability

  depends_on = [aws_ecs_cluster_capacity_providers.this, aws_lb_listener.this, aws_lb_listener_rule.this]
}

# The load tester runs when somebody starts it (`terraform/aws load`) and ends by itself.
resource "aws_ecs_task_definition" "load" {
  family                   = "${var.name}-load-tester"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  task_role_arn            = local.base.roles["load-tester"].task
  execution_role_arn       = local.base.roles["load-tester"].execution

  container_definitions = jsonencode([{
    name      = "load-tester"
    image     = local.image["load-tester"]
    essential = true
    user      = "65532:65532"
    memory    = local.limits.load
    # The app's address is no loopback: it is ours all the same.
    command = ["load", "--allow-remote"]
    environment = [for variable, value in merge(local.otel, {
      APP_URL                     = "http://${aws_service_discovery_service.app.name}.${local.base.namespace.name}:${local.stack.app.ports.http}"
      OTEL_EXPORTER_OTLP_ENDPOINT = var.attach_single_host ? local.app_otlp : "http://${aws_service_discovery_service.app.name}.${local.base.namespace.name}:${local.collector_port}"
    }) : { name = variable, value = value }]
    secrets                = []
    portMappings           = []
    volumesFrom            = []
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
    readonlyRootFilesystem = true
    privileged             = false
    linuxParameters        = { initProcessEnabled = false, capabilities = { drop = ["ALL"] } }
    stopTimeout            = 30
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = local.base.log_groups["load-tester"]
        awslogs-region        = var.region
        awslogs-stream-prefix = "load"
        mode                  = "non-blocking"
        max-buffer-size       = "4m"
      }
    }
  }])

  volume {
    name = "tmp"
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }
}
