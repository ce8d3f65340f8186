# Every input of the bootstrap. The first three must be the same in every stack.

variable "name" {
  description = "Prefix of every name; also the value of the tag Project."
  type        = string
  default     = "signalbox"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name is `${var.name}`; allowed: 3 to 20 of a-z, 0-9 and -, starting with a letter (load balancers allow 32 characters in all)."
  }
}

variable "environment" {
  description = "Which environment this is; also the value of the tag Environment."
  type        = string
  default     = "dev"

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment is `${var.environment}`; allowed: dev, prod."
  }
}

variable "region" {
  description = "AWS region of everything."
  type        = string
  default     = "ap-southeast-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is `${var.region}`; allowed: a region's name, such as ap-southeast-2."
  }
}

variable "repository" {
  description = "GitHub repository, OWNER/NAME, whose workflows may plan and deploy. No other may."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository is `${var.repository}`; allowed: OWNER/NAME, without wildcards."
  }
}

variable "branch" {
  description = "Branch whose workflows may deploy."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]*$", var.branch))
    error_message = "branch is `${var.branch}`; allowed: a branch's name, without wildcards."
  }
}

variable "create_oidc_provider" {
  description = "Create the account's GitHub OIDC provider. An account has at most one: false where it exists."
  type        = bool
  default     = true
}

variable "lock_table" {
  description = "Also create a DynamoDB lock table, for Terraform older than 1.10, which cannot lock in S3 itself."
  type        = bool
  default     = false
}

variable "allow_destroy" {
  description = "Let `terraform destroy` delete the state bucket with every state in it. For the last step of tearing down only."
  type        = bool
  default     = false
}
