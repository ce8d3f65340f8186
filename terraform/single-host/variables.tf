# Every input of the single host. The first three must be the same in every stack.

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

variable "state_bucket" {
  description = "Bucket of the states (bootstrap's output), where base's outputs are read."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket is `${var.state_bucket}`; allowed: a bucket's name."
  }
}

variable "images" {
  description = "Images by name, as `nix run .#push-images` prints them: repository and digest, built for the instance's processor."
  type        = map(object({ repository = string, digest = string, tag = optional(string) }))

  validation {
    condition = alltrue([for image in [
      "app", "load-tester", "collector", "mimir", "loki", "tempo", "pyroscope", "grafana", "nginx", "postgresql", "node-exporter",
    ] : contains(keys(var.images), image)])
    error_message = "images has ${join(", ", keys(var.images))}; all of the lgtm variant are needed."
  }

  validation {
    condition     = alltrue([for image in values(var.images) : can(regex("^sha256:[0-9a-f]{64}$", image.digest))])
    error_message = "images has one without a digest; allowed: sha256: and 64 hex digits. A tag is not enough."
  }
}

variable "instance_type" {
  description = "Instance type: 4 GB of memory at least (configs/README.md: the lgtm variant takes 2.6)."
  type        = string
  default     = "t4g.medium"

  validation {
    condition     = contains(["t4g.medium", "t4g.large", "t3.medium", "t3.large"], var.instance_type)
    error_message = "instance_type is `${var.instance_type}`; allowed: t4g.medium, t4g.large (Graviton), t3.medium, t3.large."
  }
}

variable "disk_gb" {
  description = "Size of the one disk."
  type        = number
  default     = 20

  validation {
    condition     = var.disk_gb >= 20 && var.disk_gb <= 500
    error_message = "disk_gb is `${var.disk_gb}`; allowed: 20 to 500."
  }
}

variable "allowed_cidrs" {
  description = "Who may come in; empty for nobody, as where runtime's load balancer stands in front. Everybody only with tls."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.allowed_cidrs : can(cidrnetmask(cidr))])
    error_message = "allowed_cidrs has one that is no IPv4 range, such as 203.0.113.7/32."
  }

  validation {
    condition     = var.tls || !anytrue([for cidr in var.allowed_cidrs : tonumber(split("/", cidr)[1]) < 8])
    error_message = "allowed_cidrs lets everybody in without tls; Grafana's password must not cross the internet in the open."
  }
}

variable "tls" {
  description = "Serve HTTPS with the certificate and key in the secret parameters /NAME/tls-certificate and /NAME/tls-key, which you put there (docs/aws.md)."
  type        = bool
  default     = false
}

variable "domain" {
  description = "Host name that browsers use; empty for the instance's address."
  type        = string
  default     = ""

  validation {
    condition     = var.domain == "" || can(regex("^[a-z0-9.-]+$", var.domain))
    error_message = "domain is `${var.domain}`; allowed: a host name, or nothing."
  }
}
