# What this stack runs on. Its state stays on the disk of whoever runs it: it makes the bucket that every other state
# lives in, and holds no secret. Lost it? docs/aws.md says how to import the few resources again.

terraform {
  required_version = ">= 1.11, < 2"

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
      Component   = "bootstrap"
    }
  }
}
