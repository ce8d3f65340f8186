# Every input of one Fargate service.

variable "prefix" {
  description = "Prefix of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.prefix))
    error_message = "prefix is `${var.prefix}`; allowed: 3 to 20 of a-z, 0-9 and -, starting with a letter."
  }
}

variable "name" {
  description = "Name of the service, without the prefix."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,11}$", var.name))
    error_message = "name is `${var.name}`; allowed: up to 12 of a-z, 0-9 and -."
  }
}

variable "region" {
  description = "Region of the log groups."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is `${var.region}`; allowed: a region's name, such as ap-southeast-2."
  }
}

variable "cluster" {
  description = "ECS cluster: its ARN and name."
  type        = object({ arn = string, name = string })
}

variable "cpu" {
  description = "CPU units of a task; 1024 are a vCPU. Memory follows from the containers."
  type        = number
  default     = 256

  validation {
    condition     = contains([256, 512, 1024], var.cpu)
    error_message = "cpu is `${var.cpu}`; allowed: 256, 512, 1024."
  }
}

variable "architecture" {
  description = "Processor that the images are for."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture is `${var.architecture}`; allowed: X86_64, ARM64."
  }
}

variable "roles" {
  description = "Task role (what the programs may do) and execution role (what starting them needs)."
  type        = object({ task = string, execution = string })
}

variable "containers" {
  description = "Containers by name. `memory` in MiB is a hard limit; `writes` are the folders that are not read-only; `health` is a command; `after` are containers that start first and stop last; `observability` marks what goes with enable_observability = false."
  type = map(object({
    image         = string
    memory        = number
    command       = optional(list(string))
    environment   = optional(map(string), {})
    secrets       = optional(map(string), {})
    ports         = optional(map(number), {})
    health        = optional(list(string))
    log_group     = string
    writes        = optional(list(string), [])
    after         = optional(list(string), [])
    essential     = optional(bool, true)
    user          = optional(string, "65532:65532")
    observability = optional(bool, false)
  }))

  validation {
    condition     = anytrue([for container in values(var.containers) : container.essential && !container.observability])
    error_message = "containers has none that is essential and not only for observability."
  }

  validation {
    condition     = alltrue([for container in values(var.containers) : container.memory >= 6])
    error_message = "containers has one with less than 6 MiB of memory, which ECS refuses."
  }

  validation {
    condition     = alltrue(flatten([for container in values(var.containers) : [for name in container.after : contains(keys(var.containers), name)]]))
    error_message = "containers has one that starts after a container that is not there."
  }
}

variable "subnets" {
  description = "Where tasks run, and whether each gets a public address."
  type        = object({ ids = list(string), assign_public_ip = bool })
}

variable "security_group_id" {
  description = "Security group of the tasks."
  type        = string
}

variable "spot" {
  description = "Run on Spot beyond `on_demand` tasks. ECS waits for Spot capacity and does not fall back by itself: `just aws-up` does."
  type        = bool
  default     = true
}

variable "on_demand" {
  description = "Tasks that are always on demand."
  type        = number
  default     = 0

  validation {
    condition     = var.on_demand >= 0 && floor(var.on_demand) == var.on_demand
    error_message = "on_demand is `${var.on_demand}`; allowed: whole numbers from 0."
  }
}

variable "tasks" {
  description = "How many tasks: at first, at least, at most. One of 1, 1, 1 is not scaled by load."
  type        = object({ desired = number, min = number, max = number })
  default     = { desired = 1, min = 1, max = 1 }

  validation {
    condition     = var.tasks.min <= var.tasks.desired && var.tasks.desired <= var.tasks.max && var.tasks.min >= 0
    error_message = "tasks is ${jsonencode(var.tasks)}; allowed: 0 <= min <= desired <= max."
  }
}

variable "only_one" {
  description = "Never two at once, not even while deploying: for what keeps state of its own."
  type        = bool
  default     = false
}

variable "schedule" {
  description = "When to scale to zero and back, as cron expressions; null for never."
  type        = object({ up = string, down = string, timezone = string })
  default     = null
}

variable "namespace_arn" {
  description = "Service Connect namespace; null for none."
  type        = string
  default     = null
}

variable "names" {
  description = "What other services call this one, by container port's name (CONTAINER-ROLE): host name and port."
  type        = map(object({ host = string, port = number }))
  default     = {}
}

variable "dns_registry_arn" {
  description = "Cloud Map service that gives tasks without Service Connect an address; null for none."
  type        = string
  default     = null
}

variable "target_groups" {
  description = "Load balancer's target groups, by container port's name (CONTAINER-ROLE)."
  type        = map(string)
  default     = {}
}

variable "alarm_topic_arn" {
  description = "Where alarms go."
  type        = string
}

variable "enable_observability" {
  description = "false removes all that observability costs: sidecars, their memory, alarms; the programs' own telemetry is off. Containers' output stays: without it nobody sees why a task died."
  type        = bool
  default     = true
}
