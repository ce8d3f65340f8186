# What the base promises, against a mocked AWS: `terraform test`.

mock_provider "aws" {
  source = "../tests/mocks"
}

# Never called: `own_secrets` is set below.
provider "aws" {
  alias                       = "secrets"
  region                      = "ap-southeast-2"
  access_key                  = "mock"
  secret_key                  = "mock"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

variables {
  own_secrets = true
  secrets     = { grafana_admin_password = "notasecret1234567", database_password = "notasecret7654321" } # gitleaks:allow
}

run "by_default_nothing_costs_by_the_hour" {
  assert {
    condition = (length(aws_nat_gateway.this) + length(aws_vpc_endpoint.interface) + length(aws_db_instance.this)
    + length(aws_grafana_workspace.this) + length(aws_eip.nat)) == 0
    error_message = "the base must be able to stay for next to nothing"
  }

  assert {
    condition     = output.task_subnets.assign_public_ip && length(aws_subnet.public) == 2 && length(aws_subnet.private) == 0
    error_message = "public subnets over two zones"
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "a public address is given to who asks, never to whatever starts"
  }
}

run "zones_are_the_first_two_by_name" {
  command = plan

  assert {
    condition     = join(" ", keys(aws_subnet.public)) == "ap-southeast-2a ap-southeast-2b"
    error_message = "zones are ${join(", ", keys(aws_subnet.public))}"
  }
}

run "the_data_bucket_is_private_and_forgets_after_a_week_in_dev" {
  command = plan

  assert {
    condition = toset([for rule in aws_s3_bucket_lifecycle_configuration.data.rule : rule.filter[0].prefix if length(rule.expiration) > 0]) == toset(
    ["loki/", "tempo/", "mimir/", "pyroscope/"])
    error_message = "every backend's prefix has a rule"
  }

  assert {
    condition = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.data.rule :
    length(rule.expiration) == 0 || try(rule.expiration[0].days, 0) == 7])
    error_message = "dev keeps a week"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.data.block_public_acls, aws_s3_bucket_public_access_block.data.block_public_policy,
      aws_s3_bucket_public_access_block.data.ignore_public_acls, aws_s3_bucket_public_access_block.data.restrict_public_buckets,
    ])
    error_message = "no way to make the data public may stay open"
  }
}

run "prod_keeps_a_month" {
  command = plan

  variables {
    environment = "prod"
  }

  assert {
    condition = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.data.rule :
    length(rule.expiration) == 0 || try(rule.expiration[0].days, 0) == 30])
    error_message = "prod keeps 30 days"
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.container : group.retention_in_days == 30])
    error_message = "prod keeps logs for 30 days"
  }
}

run "image_tags_cannot_be_moved" {
  command = plan

  assert {
    condition = alltrue([for repository in aws_ecr_repository.this :
    repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push])
    error_message = "tags are immutable and images are scanned"
  }
}

run "every_rule_file_of_the_local_stack_is_in_the_workspace" {
  command = plan

  assert {
    condition     = join(" ", sort([for namespace in aws_prometheus_rule_group_namespace.this : "${namespace.name}.yaml"])) == join(" ", sort(fileset("../../configs/prometheus/rules", "*.yaml")))
    error_message = "rule files and namespaces differ"
  }
}

run "no_secret_is_in_the_state" {
  assert {
    condition     = aws_ssm_parameter.grafana_admin_password.type == "SecureString" && aws_ssm_parameter.grafana_admin_password.value_wo == null
    error_message = "secrets are written write-only"
  }
}

run "every_role_lies_within_the_boundary" {
  command = plan

  assert {
    condition = alltrue([for role in concat(values(aws_iam_role.task), values(aws_iam_role.execution)) :
    role.permissions_boundary == "arn:aws:iam::123456789012:policy/signalbox-boundary"])
    error_message = "a role without the boundary"
  }
}

run "endpoints_keep_tasks_off_the_internet" {
  command = plan

  variables {
    network = "endpoints"
  }

  assert {
    condition     = !output.task_subnets.assign_public_ip && length(aws_subnet.private) == 2 && length(aws_nat_gateway.this) == 0
    error_message = "private subnets without a way out"
  }

  assert {
    condition = toset(keys(aws_vpc_endpoint.interface)) == toset(
    ["ecr.dkr", "ecr.api", "aps", "aps-workspaces", "xray", "logs", "ssm"])
    error_message = "endpoints are ${join(", ", keys(aws_vpc_endpoint.interface))}"
  }
}

run "nat_gives_private_subnets_one_way_out" {
  command = plan

  variables {
    network = "nat"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 1 && !output.task_subnets.assign_public_ip
    error_message = "one NAT gateway for both zones"
  }
}

run "the_database_is_private_encrypted_and_its_password_in_no_state" {
  command = plan

  variables {
    database = true
  }

  assert {
    condition     = !aws_db_instance.this[0].publicly_accessible && aws_db_instance.this[0].storage_encrypted && aws_db_instance.this[0].password_wo == null
    error_message = "private, encrypted, write-only password"
  }

  assert {
    condition     = length(aws_subnet.private) == 2 && contains(keys(output.parameters), "database-url")
    error_message = "in private subnets; its URL is a secret parameter"
  }
}

run "managed_grafana_is_there_on_request" {
  command = plan

  variables {
    managed_grafana = true
  }

  assert {
    condition     = length(aws_grafana_workspace.this) == 1
    error_message = "managed_grafana = true makes a workspace"
  }
}

run "an_unknown_network_is_refused" {
  command = plan

  variables {
    network = "vpn"
  }

  expect_failures = [var.network]
}

run "a_range_too_small_is_refused" {
  command = plan

  variables {
    vpc_cidr = "10.0.0.0/24"
  }

  expect_failures = [var.vpc_cidr]
}

run "prod_does_not_lose_its_data_with_destroy" {
  command = plan

  variables {
    environment   = "prod"
    force_destroy = true
  }

  expect_failures = [var.force_destroy]
}

run "own_secrets_must_be_given" {
  command = plan

  variables {
    secrets = null
  }

  expect_failures = [var.own_secrets]
}

run "a_short_secret_is_refused" {
  command = plan

  variables {
    secrets = { grafana_admin_password = "short", database_password = "notasecret7654321" } # gitleaks:allow
  }

  expect_failures = [var.secrets]
}
