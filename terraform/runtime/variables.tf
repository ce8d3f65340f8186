# Every input of the runtime. The first three must be the same in every stack.

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
  description = "Images by name, as `nix run .#push-images` prints them: repository and digest."
  type        = map(object({ repository = string, digest = string, tag = optional(string) }))

  validation {
    condition     = alltrue([for image in ["app", "load-tester", "collector", "loki", "grafana"] : contains(keys(var.images), image)])
    error_message = "images has ${join(", ", keys(var.images))}; app, load-tester, collector, loki and grafana are needed."
  }

  validation {
    condition     = alltrue([for image in values(var.images) : can(regex("^sha256:[0-9a-f]{64}$", image.digest))])
    error_message = "images has one without a digest; allowed: sha256: and 64 hex digits. A tag is not enough."
  }
}

variable "architecture" {
  description = "Processor that the images are for."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture is `${var.architecture}`; allowed: X86_64, ARM64. Spot on Fargate has both."
  }
}

variable "collector" {
  description = "Collector beside the app: baked (our image) or adot (AWS' image with the same files)."
  type        = string
  default     = "baked"

  validation {
    condition     = contains(["baked", "adot"], var.collector)
    error_message = "collector is `${var.collector}`; allowed: baked, adot."
  }
}

variable "adot_image" {
  description = "AWS Distro for OpenTelemetry, for collector = adot."
  type        = string
  default     = "public.ecr.aws/aws-observability/aws-otel-collector:v0.49.0"

  validation {
    condition     = can(regex("[:@]", var.adot_image)) && !endswith(var.adot_image, ":latest")
    error_message = "adot_image is `${var.adot_image}`; allowed: an image with a version or a digest."
  }
}

variable "load_balancer" {
  description = "Put an Application Load Balancer in front. Without one the app and Grafana answer on their own public addresses, to allowed_cidrs only."
  type        = bool
  default     = true
}

variable "certificate_arn" {
  description = "ACM certificate for HTTPS; empty for plain HTTP, which is for allowed_cidrs of your own only."
  type        = string
  default     = ""

  validation {
    condition     = var.certificate_arn == "" || can(regex("^arn:[a-z-]+:acm:", var.certificate_arn))
    error_message = "certificate_arn is `${var.certificate_arn}`; allowed: the ARN of an ACM certificate, or nothing."
  }

  validation {
    condition     = !(var.certificate_arn == "" && var.environment == "prod" && var.load_balancer)
    error_message = "certificate_arn is empty; prod needs one."
  }
}

variable "domain" {
  description = "Host name that the certificate is for; empty for the load balancer's own."
  type        = string
  default     = ""

  validation {
    condition     = var.domain == "" || can(regex("^[a-z0-9.-]+$", var.domain))
    error_message = "domain is `${var.domain}`; allowed: a host name, or nothing."
  }
}

variable "allowed_cidrs" {
  description = "Who may come in. Everybody only over HTTPS and through the load balancer: Grafana's password must not cross the internet in the open."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.allowed_cidrs : can(cidrnetmask(cidr))])
    error_message = "allowed_cidrs has one that is no IPv4 range, such as 203.0.113.7/32."
  }

  validation {
    condition     = (var.load_balancer && var.certificate_arn != "") || !anytrue([for cidr in var.allowed_cidrs : tonumber(split("/", cidr)[1]) < 8])
    error_message = "allowed_cidrs lets everybody in without HTTPS; set certificate_arn, or name your own addresses."
  }
}

variable "spot" {
  description = "Run tasks on Spot. `just aws-up` sets it to false by itself where Spot has no capacity."
  type        = bool
  default     = true
}

variable "app_tasks" {
  description = "How many app tasks: at first, at least, at most."
  type        = object({ desired = number, min = number, max = number })
  default     = { desired = 1, min = 1, max = 3 }
}

variable "schedule" {
  description = "When to scale all tasks to zero and back (the load balancer stays, and costs); null for never."
  type        = object({ up = string, down = string, timezone = string })
  default     = null

  validation {
    condition     = var.schedule == null || can(regex("^cron\\(.+\\)$", var.schedule.up)) && can(regex("^cron\\(.+\\)$", var.schedule.down))
    error_message = "schedule is ${jsonencode(var.schedule)}; allowed: up and down as cron(..) expressions, and a timezone."
  }
}

variable "metric_interval_seconds" {
  description = "How often a program sends its metrics. Samples are what Amazon Managed Prometheus is paid by: 40 million a month are free."
  type        = number
  default     = 60

  validation {
    condition     = var.metric_interval_seconds >= 5 && var.metric_interval_seconds <= 300
    error_message = "metric_interval_seconds is `${var.metric_interval_seconds}`; allowed: 5 to 300."
  }
}

variable "grafana_plugins" {
  description = "Plugins that Grafana fetches at its start, ID@VERSION. Default: those of nix/grafana-plugins.json that the image does not hold. Empty where there is no internet (network = endpoints)."
  type        = list(string)
  default     = null

  validation {
    condition     = alltrue([for plugin in coalesce(var.grafana_plugins, []) : can(regex("^[a-z0-9-]+@[0-9]+[.][0-9]+[.][0-9]+$", plugin))])
    error_message = "grafana_plugins has one without a version; allowed: ID@1.2.3."
  }
}

variable "enable_observability" {
  description = "false runs the app alone: no collector, no Loki, no Grafana, no alarms."
  type        = bool
  default     = true
}

variable "attach_single_host" {
  description = "Use the single host's Grafana, Loki, Tempo and Mimir: no Loki, Grafana and collector here; signals go to it by its private address."
  type        = bool
  default     = false
}
