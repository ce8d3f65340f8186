# The environment of each container: the variables that its config files read, with cluster.env's values where ECS has
# none of its own. A variable that a config reads and nobody sets would be an error here, not a surprise there.

locals {
  collector_files = {
    core = file("${path.module}/../../configs/collector/core.yaml")
    aws  = file("${path.module}/../../configs/collector/aws.yaml")
  }
  grafana_dir = "${path.module}/../../configs/grafana"

  # ${NAME}, ${NAME:-default}, ${env:NAME} and Grafana's $__env{NAME}; `$$` is a literal dollar.
  texts = {
    collector = join("\n", values(local.collector_files))
    loki      = file("${path.module}/../../configs/loki/loki.yaml")
    grafana = join("\n", concat(
      [file("${local.grafana_dir}/grafana.ini")],
      [for file_name in sort(fileset("${local.grafana_dir}/aws", "**/*.yaml")) : file("${local.grafana_dir}/aws/${file_name}")],
    ))
  }
  # Without the comments, which may name a variable too.
  variables_read = {
    for program, text in local.texts : program => toset(flatten(regexall(
      "(?:^|[^$])\\$(?:__env)?\\{(?:env:)?([A-Z][A-Z0-9_]*)", replace(text, "/(?m)^\\s*[#;].*$/", "")
    )))
  }

  # What differs from cluster.env on ECS.
  ours = {
    SIGNALBOX_ENVIRONMENT = var.environment
    AWS_REGION            = var.region
    # Empty: the real account.
    AWS_ENDPOINT_URL     = ""
    AMP_REMOTE_WRITE_URL = "${local.base.prometheus.endpoint}api/v1/remote_write"
    AMP_QUERY_URL        = trimsuffix(local.base.prometheus.endpoint, "/")
    # Queries to the workspace are signed, which the plain type no longer does.
    AMP_DATASOURCE_TYPE  = "grafana-amazonprometheus-datasource"
    AMP_METRIC_INTERVAL  = "${var.metric_interval_seconds}s"
    CLOUDWATCH_LOG_GROUP = local.base.log_groups["telemetry"]
    PUBLIC_URL           = local.public_url
    LOKI_STORAGE         = "s3"
    LOKI_S3_BUCKET       = local.base.data_bucket
    LOKI_RETENTION       = var.environment == "prod" ? "720h" : "168h"
  }

  settings = merge(local.cluster, local.ours)

  environment = {
    for program, variables in local.variables_read : program => {
      for variable in variables : variable => local.settings[variable] if !contains(local.secret_variables, variable)
    }
  }
  secret_variables = ["GF_SECURITY_ADMIN_PASSWORD"]

  # The app and the load tester read these themselves (docs/telemetry.md).
  otel = {
    OTEL_EXPORTER_OTLP_PROTOCOL = local.cluster.OTEL_EXPORTER_OTLP_PROTOCOL
    OTEL_METRIC_EXPORT_INTERVAL = tostring(var.metric_interval_seconds * 1000)
    OTEL_RESOURCE_ATTRIBUTES    = "deployment.environment.name=${var.environment},cloud.provider=aws,cloud.platform=aws_ecs,cloud.region=${var.region}"
  }

  collector_port = local.stack.collector.ports["otlp-grpc"]

  # The collector is in the app's own task, and containers of a task share their loopback.
  app_otlp = var.attach_single_host ? "http://${local.host.private_ip}:${local.collector_port}" : "http://127.0.0.1:${local.collector_port}"
}
