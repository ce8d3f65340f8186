# What the other stacks, the deploy workflow and docs/aws.md need.

output "state_bucket" {
  description = "Bucket that holds every other state."
  value       = aws_s3_bucket.state.id
}

output "backend" {
  description = "What `terraform init -backend-config=../backend.hcl` reads in the other stacks: `terraform output -raw backend > ../backend.hcl`."
  value = join("\n", concat([
    "bucket       = \"${aws_s3_bucket.state.id}\"",
    "region       = \"${var.region}\"",
    "encrypt      = true",
    "use_lockfile = true",
  ], var.lock_table ? ["dynamodb_table = \"${aws_dynamodb_table.lock[0].name}\""] : [], [""]))
}

output "plan_role_arn" {
  description = "Role for pull requests: the repository variable AWS_PLAN_ROLE."
  value       = aws_iam_role.ci["plan"].arn
}

output "deploy_role_arn" {
  description = "Role for the branch that deploys: the repository variable AWS_DEPLOY_ROLE."
  value       = aws_iam_role.ci["deploy"].arn
}

output "boundary_arn" {
  description = "Permissions boundary of every role in base and single-host."
  value       = aws_iam_policy.boundary.arn
}
