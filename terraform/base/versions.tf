# What this stack runs on, and where its state lives: `terraform init -backend-config=../backend.hcl` (bootstrap's
# output `backend`).

terraform {
  required_version = ">= 1.11, < 2"

  backend "s3" {
    key = "base.tfstate"
  }

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Project     = var.name
      Environment = var.environment
      Component   = "base"
    }
  }
}

# The same account and region. A name of its own, because `terraform test` can mock a provider only where it has no
# ephemeral resources.
provider "aws" {
  alias  = "secrets"
  region = var.region
}
