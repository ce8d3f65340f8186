# One machine with everything of the lgtm variant: the images under compose.yaml, S3 for what must not be lost, no
# inbound but 80 and 443, no SSH (Session Manager instead). Stands alone, or behind runtime/ (attach_single_host).

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

data "terraform_remote_state" "base" {
  backend = "s3"
  config  = { bucket = var.state_bucket, key = "base.tfstate", region = var.region }
}

# The newest Ubuntu LTS of Canonical, for the instance's processor: it has Docker, compose and the ECR helper in its archive.
data "aws_ssm_parameter" "ami" {
  name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/${local.processor}/hvm/ebs-gp3/ami-id"
}

locals {
  base      = data.terraform_remote_state.base.outputs
  stack     = jsondecode(file("${path.module}/../../configs/stack.json"))
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  here      = "${var.region}:${local.account}"
  processor = startswith(var.instance_type, "t4g.") ? "arm64" : "amd64"
  host_name = var.domain != "" ? var.domain : aws_eip.this.public_ip
  root_url  = "${var.tls ? "https" : "http"}://${local.host_name}"

  # Names of the services in compose.yaml, where they differ from the image's.
  image_of = { load = "load-tester" }
  services = ["app", "load", "collector", "mimir", "loki", "tempo", "pyroscope", "grafana", "nginx", "postgresql", "node-exporter"]

  ports = {
    nginx     = concat(["80:${local.stack.nginx.ports.http}", "${local.stack.nginx.ports.http}:${local.stack.nginx.ports.http}"], var.tls ? ["443:8443"] : [])
    collector = ["${local.stack.collector.ports["otlp-grpc"]}:${local.stack.collector.ports["otlp-grpc"]}"]
  }

  # What differs from compose.yaml on this machine. One bucket: each backend gets its prefix by flag.
  override = {
    services = {
      for service in local.services : service => merge(
        { image = "${var.images[lookup(local.image_of, service, service)].repository}@${var.images[lookup(local.image_of, service, service)].digest}" },
        contains(keys(local.ports), service) ? { ports = local.ports[service] } : {},
        lookup(local.environment, service, null) == null ? {} : { environment = local.environment[service] },
        lookup(local.commands, service, null) == null ? {} : { command = local.commands[service] },
        service == "nginx" && var.tls ? { volumes = ["/etc/signalbox/tls:/etc/signalbox/tls:ro", "/opt/signalbox/cluster.conf:/etc/signalbox/configs/nginx/cluster.conf:ro"] } : {},
      )
    }
  }
  endpoint = "s3.${var.region}.amazonaws.com"
  bucket   = local.base.data_bucket
  etc      = "/etc/signalbox/configs"
  environment = {
    loki      = { LOKI_STORAGE = "s3", LOKI_S3_BUCKET = local.bucket, AWS_REGION = var.region }
    tempo     = { TEMPO_STORAGE = "s3", TEMPO_S3_BUCKET = local.bucket, TEMPO_S3_ENDPOINT = local.endpoint, AWS_REGION = var.region }
    mimir     = { MIMIR_STORAGE = "s3", MIMIR_S3_BUCKET = local.bucket, MIMIR_S3_ENDPOINT = local.endpoint, AWS_REGION = var.region }
    pyroscope = { PYROSCOPE_STORAGE = "s3", PYROSCOPE_S3_BUCKET = local.bucket, PYROSCOPE_S3_ENDPOINT = local.endpoint, AWS_REGION = var.region }
    collector = { SIGNALBOX_ENVIRONMENT = var.environment, PUBLIC_URL = local.root_url }
    grafana = {
      GF_PATHS_PROVISIONING         = "${local.etc}/grafana/lgtm"
      GF_SERVER_ROOT_URL            = "${local.root_url}/grafana/"
      GF_SERVER_SERVE_FROM_SUB_PATH = "true"
    }
  }
  commands = {
    collector = ["--config=${local.etc}/collector/core.yaml", "--config=${local.etc}/collector/lgtm.yaml"]
    loki      = ["-config.file=${local.etc}/loki/loki.yaml", "-config.expand-env=true", "-store.object-prefix=loki/"]
    tempo     = ["-config.file=${local.etc}/tempo/tempo.yaml", "-config.expand-env=true", "-target=all", "-storage.trace.s3.prefix=tempo"]
    mimir     = ["-config.file=${local.etc}/mimir/mimir.yaml", "-config.expand-env=true", "-blocks-storage.storage-prefix=mimir"]
    pyroscope = ["-config.file=${local.etc}/pyroscope/pyroscope.yaml", "-config.expand-env=true", "-storage.prefix=pyroscope"]
  }

  files = {
    "compose.yaml" = file("${path.module}/../../compose.yaml")
    # Ports replace those of compose.yaml, which are for 127.0.0.1; without the tag they would be added.
    "compose.override.yaml"            = replace(yamlencode(local.override), "\"ports\":", "\"ports\": !override")
    "configs/environments/cluster.env" = file("${path.module}/../../configs/environments/cluster.env")
    # The image's own file, plus the HTTPS door.
    "cluster.conf" = replace(file("${path.module}/../../configs/nginx/cluster.conf"), "listen ${local.stack.nginx.ports.http};", "listen ${local.stack.nginx.ports.http};\n        include site-tls.conf;")
  }
}

resource "aws_security_group" "this" {
  name        = "${var.name}-host"
  description = "The single host: 80 and 443 only"
  vpc_id      = local.base.vpc.id

  tags = { Name = "${var.name}-host" }
}

resource "aws_vpc_security_group_ingress_rule" "public" {
  #checkov:skip=CKV_AWS_260:open to allowed_cidrs only, which is not the world without TLS
  for_each = { for pair in setproduct(var.tls ? [80, 443] : [80], var.allowed_cidrs) : join(" ", pair) => { port = tonumber(pair[0]), cidr = pair[1] } }

  security_group_id = aws_security_group.this.id
  description       = "Allowed by allowed_cidrs"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

# Images, packages, S3, Session Manager.
resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = { http = 80, https = 443 }

  security_group_id = aws_security_group.this.id
  description       = "Packages and AWS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

resource "aws_instance" "this" {
  #checkov:skip=CKV_AWS_126:one-minute metrics cost 2.10 a month; the five-minute ones do for a status alarm
  #checkov:skip=CKV2_AWS_41:the role is given below, through its profile
  ami                         = data.aws_ssm_parameter.ami.insecure_value
  instance_type               = var.instance_type
  subnet_id                   = local.base.public_subnet_ids[0]
  vpc_security_group_ids      = [aws_security_group.this.id]
  iam_instance_profile        = aws_iam_instance_profile.this.name
  ebs_optimized               = true
  user_data_base64            = base64gzip(templatefile("${path.module}/user_data.sh.tftpl", local.script))
  user_data_replace_on_change = true

  # Tokens only; two hops, since containers ask from behind Docker's bridge.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
  }

  # Slows down rather than costs more.
  credit_specification {
    cpu_credits = "standard"
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.disk_gb
    encrypted   = true
  }

  tags = { Name = "${var.name}-host" }

  lifecycle {
    # A newer image must not replace a running machine: `terraform apply -replace=aws_instance.this` does.
    ignore_changes = [ami]
  }
}

locals {
  script = {
    name     = var.name
    region   = var.region
    registry = "${local.account}.dkr.ecr.${var.region}.amazonaws.com"
    files    = { for path, text in local.files : path => base64encode(text) }
    tls      = var.tls
  }
}

resource "aws_eip" "this" {
  domain = "vpc"

  tags = { Name = "${var.name}-host" }
}

resource "aws_eip_association" "this" {
  instance_id   = aws_instance.this.id
  allocation_id = aws_eip.this.id
}
