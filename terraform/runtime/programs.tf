# The containers, and which service holds which.

locals {
  # A program's health answer inside its own container, as the images have it: the probe, since there is no shell.
  health = {
    for program in ["app", "collector", "loki", "grafana"] : program => [
      "/bin/signalbox", "probe",
      format("http://127.0.0.1:%d%s",
        lookup(local.stack[program].ports, "health", lookup(local.stack[program].ports, "http", 0)),
      lookup(local.stack[program], "ready", local.stack[program].health)),
    ]
  }

  state = local.cluster.SIGNALBOX_STATE

  # AWS' plugins are in the image once they have a hash (`nix run .#lock-plugins`).
  unlocked_plugins = [
    for id, lock in jsondecode(file("${path.module}/../../nix/grafana-plugins.json")) :
    "${id}@${lock.version}" if anytrue([for hash in values(lock.hashes) : hash == null])
  ]
  # Grafana's own list of what it fetches (setting_plugins.go), less the datasources of configs/grafana/aws.
  unused_plugins = [
    "elasticsearch", "grafana-advisor-app", "grafana-exploretraces-app", "grafana-lokiexplore-app", "grafana-metricsdrilldown-app",
    "grafana-postgresql-datasource", "grafana-pyroscope-app", "grafana-pyroscope-datasource", "influxdb", "jaeger", "mssql", "mysql",
    "opentsdb", "stackdriver", "tempo", "zipkin",
  ]
  grafana_plugins = var.grafana_plugins == null ? local.unlocked_plugins : var.grafana_plugins

  app = {
    image     = local.image.app
    memory    = local.limits.app
    ports     = local.stack.app.ports
    health    = local.health.app
    log_group = local.base.log_groups["app"]
    # The collector starts first and stops last, so that the app's last spans are taken.
    after = local.own_backends ? ["collector"] : []
    environment = merge(local.otel, {
      SIGNALBOX_BIND              = local.cluster.SIGNALBOX_BIND
      OTEL_EXPORTER_OTLP_ENDPOINT = local.app_otlp
    })
    secrets = contains(keys(local.base.parameters), "database-url") ? { DATABASE_URL = local.base.parameters["database-url"] } : {}
  }

  collector_configs = "${local.cluster.SIGNALBOX_CONFIGS}/collector"

  collector_baked = {
    image   = local.image.collector
    command = ["--config=${local.collector_configs}/core.yaml", "--config=${local.collector_configs}/aws.yaml"]
    health  = local.health.collector
    user    = "65532:65532"
    given   = {}
  }

  # The same files as text in the environment. AOT_CONFIG_CONTENT stays unset: even empty it replaces every --config.
  collector_adot = {
    image   = var.adot_image
    command = ["--config=env:COLLECTOR_CORE", "--config=env:COLLECTOR_AWS"]
    health  = ["/healthcheck"]
    # Its image declares no volume, so the folder of the sending queue belongs to root.
    user  = "0:0"
    given = { COLLECTOR_CORE = local.collector_files.core, COLLECTOR_AWS = local.collector_files.aws }
  }

  collector_flavour = var.collector == "adot" ? local.collector_adot : local.collector_baked

  collector = {
    image     = local.collector_flavour.image
    command   = local.collector_flavour.command
    health    = local.collector_flavour.health
    user      = local.collector_flavour.user
    memory    = local.limits.collector
    ports     = { for role, port in local.stack.collector.ports : role => port if contains(["otlp-grpc", "otlp-http", "health"], role) }
    log_group = local.base.log_groups["collector"]
    writes    = ["${local.state}/collector"]
    environment = merge(local.environment.collector, local.collector_flavour.given, {
      # So that it collects garbage before it is killed.
      GOMEMLIMIT = "${floor(local.limits.collector * 9 / 10)}MiB"
    })
    # The app serves on without it.
    essential     = false
    observability = true
  }

  app_task = { app = local.app, collector = local.collector }

  services = { for name, service in local.all_services : name => service if name == "app" || local.own_backends }

  all_services = {
    app = {
      containers    = { for name, container in local.app_task : name => container if name == "app" || local.own_backends }
      names         = { "app-http" = local.cluster.APP_URL, "collector-otlp-grpc" = local.cluster.OTEL_EXPORTER_OTLP_ENDPOINT }
      target_groups = ["app-http"]
      cpu           = 256
      tasks         = var.app_tasks
      only_one      = false
    }
    loki = {
      containers = {
        loki = {
          image = local.image.loki
          # Everything of one bucket has its prefix.
          command = [
            "-config.file=${local.cluster.SIGNALBOX_CONFIGS}/loki/loki.yaml", "-config.expand-env=true", "-store.object-prefix=loki/",
          ]
          memory      = local.limits.loki
          ports       = { http = local.stack.loki.ports.http }
          health      = local.health.loki
          log_group   = local.base.log_groups["loki"]
          writes      = ["${local.state}/loki"]
          environment = merge(local.environment.loki, { GOMEMLIMIT = "${floor(local.limits.loki * 9 / 10)}MiB" })
        }
      }
      names         = { "loki-http" = local.cluster.LOKI_URL }
      target_groups = []
      cpu           = 256
      tasks         = { desired = 1, min = 1, max = 1 }
      # Two would write the same index.
      only_one = true
    }
    grafana = {
      containers = {
        grafana = {
          image     = local.image.grafana
          memory    = local.limits.grafana
          ports     = { http = local.stack.grafana.ports.http }
          health    = local.health.grafana
          log_group = local.base.log_groups["grafana"]
          writes    = ["${local.state}/grafana"]
          environment = merge(local.environment.grafana, {
            GF_PATHS_PROVISIONING         = "${local.cluster.SIGNALBOX_CONFIGS}/grafana/aws"
            GF_SERVER_ROOT_URL            = "${local.public_url}${var.load_balancer ? "/grafana/" : ":${local.stack.grafana.ports.http}/"}"
            GF_SERVER_SERVE_FROM_SUB_PATH = tostring(var.load_balancer)
            GOMEMLIMIT                    = "${floor(local.limits.grafana * 9 / 10)}MiB"
            }, length(local.grafana_plugins) == 0 ? {} : {
            # Fetched once, before anything is provisioned; never updated.
            GF_PATHS_PLUGINS               = "${local.state}/grafana/plugins"
            GF_PLUGINS_PREINSTALL_DISABLED = "false"
            GF_PLUGINS_PREINSTALL_SYNC     = join(",", local.grafana_plugins)
            # Or Grafana would fetch its own list too, half a gigabyte of what nothing here uses.
            GF_PLUGINS_DISABLE_PLUGINS = join(",", local.unused_plugins)
          })
          secrets = { GF_SECURITY_ADMIN_PASSWORD = local.base.parameters["grafana-admin-password"] }
        }
      }
      names         = { "grafana-http" = local.cluster.GRAFANA_URL }
      target_groups = ["grafana-http"]
      cpu           = 256
      tasks         = { desired = 1, min = 1, max = 1 }
      only_one      = true
    }
  }
}
