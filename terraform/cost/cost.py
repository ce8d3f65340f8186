#!/usr/bin/env python3
"""What a month costs: reads `terraform show -json` of plans or states, prices.csv and profiles.json; prints a table.

    terraform -chdir=base show -json > base.json          (and runtime, or single-host; a plan file works too)
    cost/cost.py --profile hours base=base.json runtime=runtime.json

Standard library only. A resource type that is in neither PRICED nor FREE is an error: nothing costs silently.
"""

import argparse
import csv
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent

# Types that cost nothing by themselves (what flows through them is priced where it ends).
FREE = re.compile(
    "aws_(vpc|subnet|route|route_table|route_table_association|internet_gateway|default_security_group|security_group"
    "|vpc_security_group_(in|e)gress_rule|s3_bucket_.*|ecr_lifecycle_policy|iam_.*|sns_topic.*|ssm_parameter|xray_.*"
    "|prometheus_(rule_group_namespace|alert_manager_definition)|lb_(listener|listener_rule|target_group|target_group_attachment)|ecs_cluster"
    "|ecs_cluster_capacity_providers|ecs_task_definition|appautoscaling_.*|budgets_budget|service_discovery_(http_namespace|service)"
    "|db_subnet_group|db_parameter_group|eip_association|cloudwatch_log_metric_filter)|terraform_data"
)


class Prices:
    """prices.csv for one region."""

    def __init__(self, region, file=HERE / "prices.csv"):
        with open(file, newline="") as rows:
            self.rows = {row["item"]: row for row in csv.DictReader(rows)}
        if region not in next(iter(self.rows.values())):
            raise SystemExit(f"cost: no prices for region `{region}`; prices.csv has ap-southeast-2, us-east-1")
        self.region = region

    def __getitem__(self, item):
        if item not in self.rows:
            raise SystemExit(f"cost: prices.csv has no `{item}`")
        return float(self.rows[item][self.region])


def resources(document):
    """Every managed resource of a plan or a state, as (address, type, module, values)."""

    def walk(module):
        for resource in module.get("resources", []):
            if resource.get("mode") == "managed":
                yield resource["address"], resource["type"], module.get("address", ""), resource["values"]
        for child in module.get("child_modules", []):
            yield from walk(child)

    return list(walk((document.get("planned_values") or document.get("values") or {}).get("root_module", {})))


def private(document):
    """Whether base's tasks run in private subnets: then they have no public address, whatever an older state of base said."""
    return any(
        type == "aws_nat_gateway" or type == "aws_vpc_endpoint" and values.get("vpc_endpoint_type") == "Interface"
        for _, type, _, values in resources(document or {})
    )


def priced(found, prices, usage, hours, task_hours, without_addresses):
    """Yields (what, US dollars a month) for one stack that exists `hours` a month."""
    share, task_share = hours / usage["hours_in_month"], task_hours / usage["hours_in_month"]
    definitions = {module: values for _, type, module, values in found if type == "aws_ecs_task_definition"}
    zones = len({values["availability_zone"] for _, type, _, values in found if type == "aws_subnet"}) or 2
    alarms = sum(1 for _, type, _, _ in found if type == "aws_cloudwatch_metric_alarm")
    if alarms > 10:
        yield f"{alarms} alarms, ten free", (alarms - 10) * prices["alarm"] * share

    for address, type, module, values in found:
        if type == "aws_lb":
            if values.get("load_balancer_type", "application") != "application":
                raise SystemExit(f"cost: {address}: only application load balancers have a price here")
            yield "load balancer", hours * (prices["alb"] + usage["lcu"] * prices["alb-lcu"])
            yield "load balancer's public addresses, one a zone", hours * 2 * prices["ipv4"]
        elif type == "aws_ecs_service":
            count = values.get("desired_count") or 0
            task = definitions[module]
            cpu, memory = int(task["cpu"]) / 1024, int(task["memory"]) / 1024
            strategy = values.get("capacity_provider_strategy") or []
            # On demand for the base count and for a strategy without Spot; Spot for the rest.
            fixed = sum(s.get("base") or 0 for s in strategy if s["capacity_provider"] == "FARGATE")
            spot = any(s["capacity_provider"] == "FARGATE_SPOT" and s.get("weight") for s in strategy)
            on_demand = min(count, fixed) if spot else count
            arm = "-arm" if any(p.get("cpu_architecture") == "ARM64" for p in task.get("runtime_platform") or []) else ""
            if on_demand:
                yield f"{values['name']}: {on_demand} task, on demand", task_hours * on_demand * (
                    cpu * prices[f"fargate{arm}-vcpu"] + memory * prices[f"fargate{arm}-gb"])
            if count > on_demand:
                yield f"{values['name']}: {count - on_demand} task, Spot", task_hours * (count - on_demand) * (
                    cpu * prices["fargate-spot-vcpu"] + memory * prices["fargate-spot-gb"])
            if not without_addresses and any(network.get("assign_public_ip") for network in values.get("network_configuration") or []):
                yield f"{values['name']}: public address", task_hours * count * prices["ipv4"]
        elif type == "aws_instance":
            yield f"{values['instance_type']} instance", task_hours * prices[f"ec2-{values['instance_type']}"]
            # A disk is there as long as the instance is, stopped or not.
            for disk in values.get("root_block_device") or []:
                yield f"{disk['volume_size']} GB disk", disk["volume_size"] * prices["ebs-gp3"] * share
            yield "its own metrics of disk and memory", 2 * prices["custom-metric"] * task_share
        elif type == "aws_eip":
            yield "public address", hours * prices["ipv4"]
        elif type == "aws_nat_gateway":
            yield "NAT gateway", hours * prices["nat-gateway"]
            yield "NAT gateway's traffic", usage["logs_gb_per_730h"] * 2 * prices["nat-gb"] * share
        elif type == "aws_vpc_endpoint":
            if values.get("vpc_endpoint_type") == "Interface":
                yield f"endpoint {values['service_name'].split('.', 3)[-1]} in {zones} zones", hours * zones * prices["interface-endpoint"]
        elif type == "aws_db_instance":
            yield f"database {values['instance_class']}", hours * prices[f"rds-{values['instance_class']}"]
            yield "database's disk", values["allocated_storage"] * prices["rds-gp3"] * share
        elif type == "aws_grafana_workspace":
            yield "managed Grafana", usage["editors"] * prices["managed-grafana"]
        elif type == "aws_service_discovery_private_dns_namespace":
            yield "private hosted zone", prices["hosted-zone"]
        elif type in ("aws_s3_bucket", "aws_ecr_repository", "aws_cloudwatch_log_group", "aws_prometheus_workspace", "aws_cloudwatch_metric_alarm"):
            pass  # by use, below
        elif type == "aws_dynamodb_table":
            pass  # a handful of requests a month
        elif not FREE.fullmatch(type):
            raise SystemExit(f"cost: {address}: `{type}` has no price and is not known to be free; add it to cost.py")


def by_use(prices, usage, running_hours):
    """What is paid for by use, for a stack that runs `running_hours` a month."""
    share = running_hours / usage["hours_in_month"]
    samples = usage["series"] * running_hours * 3600 / usage["sample_interval_seconds"]
    yield f"metrics: {samples / 1e6:.1f}M samples, 40M free", max(0, samples - 40e6) / 1e7 * prices["amp-samples"]
    yield "traces: 100,000 free", max(0, usage["traces_per_730h"] * share - 1e5) / 1e6 * prices["xray-traces"]
    yield "container logs", usage["logs_gb_per_730h"] * share * prices["logs-gb"]
    yield "data bucket", usage["s3_gb"] * prices["s3-gb"] + usage["s3_puts_per_730h"] * share / 1000 * prices["s3-put"]
    yield "images", usage["ecr_gb"] * prices["ecr-gb"]
    yield "transfer out: 100 GB free", max(0, usage["transfer_out_gb_per_730h"] * share - 100) * prices["transfer-out-gb"]


def month(profile, documents, prices, settings):
    """The month of one profile: a list of (stack, what, US dollars)."""
    usage, wanted = settings["usage"], settings["profiles"][profile]
    missing = set(wanted["stacks"]) - set(documents)
    if missing:
        raise SystemExit(f"cost: profile `{profile}` needs {', '.join(sorted(missing))}: NAME=FILE of `terraform show -json`")
    lines = []
    for stack in wanted["stacks"]:
        hours = wanted["hours"].get(stack, usage["hours_in_month"])
        task_hours = wanted["hours"].get("tasks", hours)
        lines += [(stack, *line) for line in priced(
            resources(documents[stack]), prices, usage, hours, task_hours, private(documents.get("base")))]
    running = wanted["hours"].get("tasks") or min([wanted["hours"].get(s, usage["hours_in_month"]) for s in wanted["stacks"]])
    return lines + [("use", *line) for line in by_use(prices, usage, running)]


def total(lines):
    return round(sum(dollars for _, _, dollars in lines), 2)


def main():
    settings = json.loads((HERE / "profiles.json").read_text())
    parser = argparse.ArgumentParser(description="What a month costs.")
    parser.add_argument("--profile", default=settings["default"], choices=settings["profiles"])
    parser.add_argument("--region", default="ap-southeast-2")
    parser.add_argument("--check", action="store_true", help="exit 1 where the sum is above the budget")
    parser.add_argument("stacks", nargs="+", metavar="STACK=FILE")
    arguments = parser.parse_args()
    documents = {}
    for pair in arguments.stacks:
        stack, _, file = pair.partition("=")
        documents[stack] = json.loads(pathlib.Path(file).read_text())
    lines = month(arguments.profile, documents, Prices(arguments.region), settings)
    print(f"{arguments.profile}, {arguments.region}: {settings['profiles'][arguments.profile]['description']}")
    for stack, what, dollars in lines:
        if dollars >= 0.005:
            print(f"  {dollars:8.2f}  {stack}: {what}")
    print(f"  {total(lines):8.2f}  US$ a month, before tax; the budget is {settings['budget']}")
    if arguments.check and total(lines) > settings["budget"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
