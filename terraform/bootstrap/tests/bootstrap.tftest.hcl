# What the bootstrap promises, against a mocked AWS: `terraform test`.

mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  repository = "example/signalbox"
}

run "the_state_bucket_is_private_versioned_and_encrypted" {
  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "states must keep their old versions"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.state.block_public_acls, aws_s3_bucket_public_access_block.state.block_public_policy,
      aws_s3_bucket_public_access_block.state.ignore_public_acls, aws_s3_bucket_public_access_block.state.restrict_public_buckets,
    ])
    error_message = "no way to make the state public may stay open"
  }

  assert {
    condition     = aws_s3_bucket.state.bucket == "signalbox-state-123456789012" && !aws_s3_bucket.state.force_destroy
    error_message = "the bucket has the account in its name and does not go with its contents"
  }
}

run "the_backend_locks_in_s3_itself" {
  assert {
    condition     = strcontains(output.backend, "use_lockfile = true") && !strcontains(output.backend, "dynamodb_table")
    error_message = "the backend is: ${output.backend}"
  }

  assert {
    condition     = length(aws_dynamodb_table.lock) == 0
    error_message = "a lock table is for older clients, on request"
  }
}

run "older_clients_can_have_a_lock_table" {
  variables {
    lock_table = true
  }

  assert {
    condition     = length(aws_dynamodb_table.lock) == 1 && strcontains(output.backend, "dynamodb_table")
    error_message = "the backend is: ${output.backend}"
  }
}

run "only_the_branch_may_deploy_and_pull_requests_may_only_plan" {
  assert {
    condition = alltrue([for condition in data.aws_iam_policy_document.trust["deploy"].statement[0].condition :
      condition.test == "StringEquals" && (!endswith(condition.variable, ":sub") || condition.values == tolist(["repo:example/signalbox:ref:refs/heads/main"]))
    ])
    error_message = "the deploy role trusts more than the branch"
  }

  assert {
    condition     = local.on_pull == "repo:example/signalbox:pull_request"
    error_message = "the plan role trusts ${local.on_pull}"
  }
}

run "an_account_that_has_the_provider_keeps_it" {
  variables {
    create_oidc_provider = false
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "a second provider for the same host is refused by AWS"
  }
}

run "a_wildcard_repository_is_refused" {
  command = plan

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}

run "a_wildcard_branch_is_refused" {
  command = plan

  variables {
    branch = "release-*"
  }

  expect_failures = [var.branch]
}

run "an_unknown_environment_is_refused" {
  command = plan

  variables {
    environment = "staging"
  }

  expect_failures = [var.environment]
}

run "a_name_too_long_for_a_load_balancer_is_refused" {
  command = plan

  variables {
    name = "a-name-that-is-much-too-long"
  }

  expect_failures = [var.name]
}
