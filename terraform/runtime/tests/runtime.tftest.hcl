# What the runtime promises, against a mocked AWS and base's outputs as they would be: `terraform test`.

mock_provider "aws" {
  source = "../tests/mocks"
}

override_data {
  target = data.terraform_remote_state.base
  values = {
    outputs = {
      vpc                        = { id = "vpc-0123456789abcdef0", cidr = "10.20.0.0/16" }
      public_subnet_ids          = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
      task_subnets               = { ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"], assign_public_ip = true }
      data_bucket                = "signalbox-data-123456789012"
      prometheus                 = { id = "ws-0123456789abcdef", endpoint = "https://aps.example/workspaces/ws-0123456789abcdef/" }
      log_groups                 = { app = "/signalbox/app", load-tester = "/signalbox/load-tester", collector = "/signalbox/collector", loki = "/signalbox/loki", grafana = "/signalbox/grafana", telemetry = "/signalbox/telemetry" }
      alarm_topic_arn            = "arn:aws:sns:ap-southeast-2:123456789012:signalbox-alarms"
      database_security_group_id = null
      namespace                  = { arn = "arn:aws:servicediscovery:ap-southeast-2:123456789012:namespace/ns-0123456789abcdef", id = "ns-0123456789abcdef", name = "signalbox.internal" }
      parameters                 = { grafana-admin-password = "arn:aws:ssm:ap-southeast-2:123456789012:parameter/signalbox/grafana-admin-password" }
      roles = {
        app         = { task = "arn:aws:iam::123456789012:role/signalbox-app-task", execution = "arn:aws:iam::123456789012:role/signalbox-app-execution" }
        load-tester = { task = "arn:aws:iam::123456789012:role/signalbox-load-tester-task", execution = "arn:aws:iam::123456789012:role/signalbox-load-tester-execution" }
        loki        = { task = "arn:aws:iam::123456789012:role/signalbox-loki-task", execution = "arn:aws:iam::123456789012:role/signalbox-loki-execution" }
        grafana     = { task = "arn:aws:iam::123456789012:role/signalbox-grafana-task", execution = "arn:aws:iam::123456789012:role/signalbox-grafana-execution" }
      }
    }
  }
}

override_data {
  target = data.terraform_remote_state.single_host
  values = {
    outputs = {
      host = { private_ip = "10.20.0.10", security_group_id = "sg-0123456789abcdef0" }
    }
  }
}

variables {
  state_bucket  = "signalbox-state-123456789012"
  allowed_cidrs = ["203.0.113.7/32"]
  images = {
    app         = { repository = "r.example/signalbox-app", digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    load-tester = { repository = "r.example/signalbox-load-tester", digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    collector   = { repository = "r.example/signalbox-collector", digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    loki        = { repository = "r.example/signalbox-loki", digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    grafana     = { repository = "r.example/signalbox-grafana", digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
  }
}

run "app_loki_and_grafana_run_on_spot_behind_a_load_balancer" {
  assert {
    condition     = join(" ", sort(output.services)) == "app grafana loki" && length(aws_lb.this) == 1
    error_message = "services are ${join(" ", output.services)}"
  }

  assert {
    condition     = output.url == "http://mock.elb.amazonaws.com" && output.grafana_url == "http://mock.elb.amazonaws.com/grafana"
    error_message = "the app is at ${output.url}"
  }
}

run "a_task_has_the_smallest_memory_that_holds_its_containers" {
  command = plan

  assert {
    condition     = output.memory["loki"].task == 512 && output.memory["grafana"].task == 512
    error_message = "memory is ${jsonencode(output.memory)}"
  }

  assert {
    condition     = alltrue([for memory in values(output.memory) : memory.needed <= memory.task])
    error_message = "memory is ${jsonencode(output.memory)}"
  }
}

run "every_container_is_read_only_unprivileged_and_logs" {
  command = plan

  assert {
    condition = alltrue(flatten([for service in values(module.service) : [for container in service.containers :
      container.readonlyRootFilesystem && !container.privileged && container.user == "65532:65532" && container.logConfiguration.logDriver == "awslogs"
    ]]))
    error_message = "a container that may write, is root or does not log"
  }

  assert {
    condition     = alltrue(flatten([for service in values(module.service) : [for container in service.containers : container.healthCheck != null]]))
    error_message = "a container without a health check"
  }
}

run "the_app_serves_on_without_its_collector" {
  command = plan

  assert {
    condition = alltrue([for container in module.service["app"].containers :
    container.essential == (container.name == "app") && (container.name == "app" ? true : container.restartPolicy.enabled)])
    error_message = "only the app is essential; the collector restarts by itself"
  }

  assert {
    condition     = [for container in module.service["app"].containers : container.dependsOn if container.name == "app"][0][0].containerName == "collector"
    error_message = "the collector starts before the app and stops after it"
  }
}

run "no_secret_is_in_the_environment" {
  command = plan

  assert {
    condition = [for container in module.service["grafana"].containers : [for secret in container.secrets : secret.valueFrom if secret.name == "GF_SECURITY_ADMIN_PASSWORD"]][0][0] == (
    "arn:aws:ssm:ap-southeast-2:123456789012:parameter/signalbox/grafana-admin-password")
    error_message = "Grafana's password comes from its parameter"
  }

  assert {
    condition = !anytrue(flatten([for service in values(module.service) : [for container in service.containers : [for pair in container.environment :
    can(regex("PASSWORD|SECRET|TOKEN", pair.name))]]]))
    error_message = "a secret's name among the plain variables"
  }
}

run "adot_gets_the_same_files_and_never_aot_config_content" {
  command = plan

  variables {
    collector = "adot"
  }

  assert {
    condition = [for container in module.service["app"].containers : join(" ", container.command) if container.name == "collector"][0] == (
    "--config=env:COLLECTOR_CORE --config=env:COLLECTOR_AWS")
    error_message = "ADOT's command"
  }

  assert {
    condition = [for container in module.service["app"].containers : [for pair in container.environment : pair.value if pair.name == "COLLECTOR_CORE"][0]
    if container.name == "collector"][0] == file("../../configs/collector/core.yaml")
    error_message = "ADOT reads another file than our collector"
  }

  assert {
    condition = !anytrue(flatten([for container in module.service["app"].containers : [for pair in container.environment :
    pair.name == "AOT_CONFIG_CONTENT"]]))
    error_message = "AOT_CONFIG_CONTENT replaces every --config, even when empty"
  }
}

run "without_observability_there_is_nothing_that_it_costs" {
  command = plan

  variables {
    enable_observability = false
  }

  assert {
    condition     = join(" ", output.services) == "app" && length(module.service["app"].containers) == 1
    error_message = "only the app is left"
  }

  assert {
    condition     = output.memory["app"].task == 512 && length(aws_cloudwatch_metric_alarm.balancer) == 0
    error_message = "no memory for a sidecar, no alarm"
  }

  assert {
    condition     = [for pair in module.service["app"].containers[0].environment : pair.value if pair.name == "OTEL_SDK_DISABLED"][0] == "true"
    error_message = "the app's own telemetry is off"
  }
}

run "an_attached_host_takes_grafana_browsers_and_signals" {
  command = plan

  variables {
    attach_single_host = true
  }

  assert {
    condition     = join(" ", output.services) == "app" && length(aws_lb_target_group_attachment.host) == 1
    error_message = "services are ${join(" ", output.services)}"
  }

  assert {
    condition     = join(" ", flatten([for path in values(local.paths) : path.patterns])) == "/collect /collect/* /grafana /grafana/*"
    error_message = "paths to the host"
  }

  assert {
    condition     = [for pair in module.service["app"].containers[0].environment : pair.value if pair.name == "OTEL_EXPORTER_OTLP_ENDPOINT"][0] == "http://10.20.0.10:4317"
    error_message = "signals go to the host by its private address"
  }
}

run "without_a_load_balancer_only_allowed_addresses_come_in" {
  command = plan

  variables {
    load_balancer = false
  }

  assert {
    condition     = length(aws_lb.this) == 0 && length(aws_vpc_security_group_ingress_rule.door) == 2
    error_message = "app and Grafana, each for one address"
  }
}

run "https_serves_and_http_redirects" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:ap-southeast-2:123456789012:certificate/mock"
    domain          = "signalbox.example.org"
    allowed_cidrs   = ["0.0.0.0/0"]
  }

  assert {
    condition     = output.url == "https://signalbox.example.org" && aws_lb_listener.this["http"].default_action[0].type == "redirect"
    error_message = "HTTP redirects to ${output.url}"
  }
}

run "tasks_sleep_at_night_on_request" {
  command = plan

  variables {
    schedule = { up = "cron(0 8 ? * MON-FRI *)", down = "cron(0 18 ? * MON-FRI *)", timezone = "Australia/Sydney" }
  }

  assert {
    condition     = length(module.service) == 3
    error_message = "each service has its schedule"
  }
}

run "everybody_without_https_is_refused" {
  command = plan

  variables {
    allowed_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.allowed_cidrs]
}

run "prod_without_https_is_refused" {
  command = plan

  variables {
    environment = "prod"
  }

  expect_failures = [var.certificate_arn]
}

run "an_image_by_tag_is_refused" {
  command = plan

  variables {
    images = {
      app         = { repository = "r.example/signalbox-app", digest = "latest" }
      load-tester = { repository = "r.example/signalbox-load-tester", digest = "latest" }
      collector   = { repository = "r.example/signalbox-collector", digest = "latest" }
      loki        = { repository = "r.example/signalbox-loki", digest = "latest" }
      grafana     = { repository = "r.example/signalbox-grafana", digest = "latest" }
    }
  }

  expect_failures = [var.images]
}

run "an_unknown_collector_is_refused" {
  command = plan

  variables {
    collector = "fluentd"
  }

  expect_failures = [var.collector]
}
