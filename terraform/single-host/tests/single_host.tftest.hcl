# What the single host promises, against a mocked AWS: `terraform test`.

mock_provider "aws" {
  source = "../tests/mocks"
}

override_data {
  target = data.terraform_remote_state.base
  values = {
    outputs = {
      vpc               = { id = "vpc-0123456789abcdef0", cidr = "10.20.0.0/16" }
      public_subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
      data_bucket       = "signalbox-data-123456789012"
      alarm_topic_arn   = "arn:aws:sns:ap-southeast-2:123456789012:signalbox-alarms"
    }
  }
}

variables {
  state_bucket = "signalbox-state-123456789012"
  images = { for image in [
    "app", "load-tester", "collector", "mimir", "loki", "tempo", "pyroscope", "grafana", "nginx", "postgresql", "node-exporter",
  ] : image => { repository = "r.example/signalbox-${image}", digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } }
}

run "nobody_comes_in_unless_allowed" {
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.public) == 0
    error_message = "closed by default"
  }

  assert {
    condition     = aws_instance.this.metadata_options[0].http_tokens == "required" && aws_instance.this.root_block_device[0].encrypted
    error_message = "metadata by token only; the disk is encrypted"
  }
}

run "the_machine_is_told_no_secret" {
  assert {
    condition     = !can(regex("(?i)(password|secret|key):? *[A-Za-z0-9]{16,}", templatefile("user_data.sh.tftpl", local.script)))
    error_message = "a secret in the first boot's script"
  }

  assert {
    # 16 KiB is what EC2 takes.
    condition     = length(aws_instance.this.user_data_base64) * 3 / 4 < 16384
    error_message = "the first boot's script is ${length(aws_instance.this.user_data_base64) * 3 / 4} bytes"
  }
}

run "every_service_of_compose_that_runs_here_has_its_image_by_digest" {
  assert {
    condition     = alltrue([for service in values(local.override.services) : strcontains(service.image, "@sha256:")])
    error_message = "an image without a digest"
  }

  assert {
    condition = length(setsubtract(
      [for name, service in yamldecode(file("../../compose.yaml")).services : name if contains(try(service.profiles, []), "lgtm")],
    keys(local.override.services))) == 0
    error_message = "compose.yaml's lgtm profile has a service that is not named here"
  }

  assert {
    condition     = local.override.services.loki.environment.LOKI_S3_BUCKET == "signalbox-data-123456789012"
    error_message = "one bucket for all"
  }
}

run "a_graviton_machine_takes_a_graviton_image" {
  command = plan

  assert {
    condition     = strcontains(data.aws_ssm_parameter.ami.name, "/arm64/")
    error_message = "t4g is arm64"
  }
}

run "tls_opens_443_too" {
  variables {
    tls           = true
    allowed_cidrs = ["0.0.0.0/0"]
    domain        = "signalbox.example.org"
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.public) == 2 && output.url == "https://signalbox.example.org"
    error_message = "80 and 443"
  }

  assert {
    condition     = strcontains(local.files["cluster.conf"], "include site-tls.conf;")
    error_message = "nginx serves TLS"
  }
}

run "everybody_without_tls_is_refused" {
  command = plan

  variables {
    allowed_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.allowed_cidrs]
}

run "a_machine_too_small_is_refused" {
  command = plan

  variables {
    instance_type = "t4g.small"
  }

  expect_failures = [var.instance_type]
}
