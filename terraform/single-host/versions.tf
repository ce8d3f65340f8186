# What this stack runs on, and where its state lives: `terraform init -backend-config=../backend.hcl` (bootstrap's
# output `backend`).

terraform {
  required_version = ">= 1.11, < 2"

  backend "s3" {
    key = "single-host.tfstate"
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
      Component   = "single-host"
    }
  }
}
