# Every input of the base. The first three must be the same in every stack.

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

variable "network" {
  description = "How tasks reach AWS: public (addresses of their own, nothing may come in, US$0), endpoints (private subnets, no internet) or nat (private subnets, internet)."
  type        = string
  default     = "public"

  validation {
    condition     = contains(["public", "endpoints", "nat"], var.network)
    error_message = "network is `${var.network}`; allowed: public, endpoints, nat."
  }
}

variable "vpc_cidr" {
  description = "Address range of the VPC; two public and two private /20 subnets are cut from it."
  type        = string
  default     = "10.20.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 3)) && can(cidrnetmask(var.vpc_cidr)) && tonumber(split("/", var.vpc_cidr)[1]) <= 20
    error_message = "vpc_cidr is `${var.vpc_cidr}`; allowed: an IPv4 range of /20 or larger."
  }
}

variable "images" {
  description = "Images that get a repository, by their names in the flake (`image-NAME`)."
  type        = set(string)
  default = [
    "app", "load-tester", "collector", "loki", "grafana",
    "prometheus", "tempo", "mimir", "pyroscope", "nginx", "node-exporter", "postgresql",
  ]

  validation {
    condition     = alltrue([for image in var.images : can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", image))])
    error_message = "images has a name that is none; allowed: a-z, 0-9 and -."
  }
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete buckets and repositories that are not empty. Off in prod."
  type        = bool
  default     = false

  validation {
    condition     = !(var.force_destroy && var.environment == "prod")
    error_message = "force_destroy is true; allowed in prod: false."
  }
}

variable "alarm_email" {
  description = "Address that alarms and alerts are mailed to; empty for none. AWS sends it a confirmation first."
  type        = string
  default     = ""

  validation {
    condition     = var.alarm_email == "" || can(regex("^[^@ ]+@[^@ ]+$", var.alarm_email))
    error_message = "alarm_email is `${var.alarm_email}`; allowed: an e-mail address or nothing."
  }
}

variable "budget" {
  description = "US dollars a month; mail at 80 % of it, and when the forecast is above it."
  type        = number
  default     = 30

  validation {
    condition     = var.budget >= 1
    error_message = "budget is `${var.budget}`; allowed: 1 or more."
  }
}

variable "secrets_version" {
  description = "Raise it to make new secrets (Grafana's admin password, the database's password)."
  type        = number
  default     = 1

  validation {
    condition     = var.secrets_version >= 1 && floor(var.secrets_version) == var.secrets_version
    error_message = "secrets_version is `${var.secrets_version}`; allowed: whole numbers from 1."
  }
}

variable "own_secrets" {
  description = "Take the secrets from the variable `secrets` instead of letting AWS make them."
  type        = bool
  default     = false

  validation {
    condition     = !var.own_secrets || var.secrets != null
    error_message = "own_secrets is true; then `secrets` must be given (TF_VAR_secrets, never a file in the tree)."
  }
}

variable "secrets" {
  description = "Secrets of your own: at least 16 letters and digits each. Held in memory only; written where secrets_version rose."
  type        = object({ grafana_admin_password = string, database_password = string })
  default     = null
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.secrets == null || alltrue([for secret in values(coalesce(var.secrets, { a = "" })) : can(regex("^[A-Za-z0-9]{16,}$", secret))])
    error_message = "secrets has one that is too short or holds other characters; allowed: 16 or more letters and digits."
  }
}

variable "trace_sampling" {
  description = "Share of traces that X-Ray's sampling rule keeps beyond one a second, 0 to 1."
  type        = number
  default     = 1

  validation {
    condition     = var.trace_sampling >= 0 && var.trace_sampling <= 1
    error_message = "trace_sampling is `${var.trace_sampling}`; allowed: 0 to 1."
  }
}

variable "managed_grafana" {
  description = "Also create an Amazon Managed Grafana workspace (US$9 an editor a month; needs IAM Identity Center)."
  type        = bool
  default     = false
}

variable "database" {
  description = "Create a PostgreSQL database for the app instead of SQLite in the task."
  type        = bool
  default     = false
}

variable "database_class" {
  description = "Instance class of the database."
  type        = string
  default     = "db.t4g.micro"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.database_class))
    error_message = "database_class is `${var.database_class}`; allowed: an RDS class, such as db.t4g.micro."
  }
}
