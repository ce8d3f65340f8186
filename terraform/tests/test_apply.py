"""Every stack is really applied, to a stand-in for AWS: bootstrap, base, runtime, single-host, in the order of docs/aws.md,
and taken down again in the opposite order. The tests of this file build on each other; the last one leaves nothing."""

import json
import os
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

import iam
import tasks
from conftest import TERRAFORM

sys.path.insert(0, str(TERRAFORM / "cost"))
import cost  # noqa: E402


IMAGES = {
    image: {"repository": f"123456789012.dkr.ecr.ap-southeast-2.amazonaws.com/signalbox/signalbox-{image}", "digest": "sha256:" + "a" * 64}
    for image in (
        "app", "load-tester", "collector", "loki", "grafana", "mimir", "tempo", "pyroscope", "nginx", "postgresql", "node-exporter",
    )
}


@pytest.fixture(scope="module")
def bootstrap(terraform):
    return terraform("bootstrap", repository="example/signalbox", allow_destroy=True)


@pytest.fixture(scope="module")
def backend(aws):
    return {"bucket": "signalbox-state-123456789012", "region": "ap-southeast-2", "use_lockfile": "true", "encrypt": "true"}


@pytest.fixture(scope="module")
def base(terraform, backend):
    return terraform("base", backend, force_destroy=True, alarm_email="ops@example.org")


def test_bootstrap_applies_and_a_second_plan_is_empty(bootstrap):
    bootstrap.init().apply()
    assert bootstrap.second_plan() == ""


def test_base_applies_on_the_bucket_and_a_second_plan_is_empty(base):
    base.init().apply()
    assert base.second_plan() == ""


@pytest.fixture(scope="module")
def runtime(terraform, backend):
    return terraform("runtime", backend, state_bucket=backend["bucket"], images=IMAGES, allowed_cidrs=["203.0.113.7/32"])


@pytest.fixture(scope="module")
def single_host(terraform, backend):
    return terraform("single-host", backend, state_bucket=backend["bucket"], images=IMAGES, allowed_cidrs=["203.0.113.7/32"])


@pytest.fixture(scope="module")
def applying(runtime, single_host):
    """Both at once, since neither knows of the other and most of it is waiting."""
    with ThreadPoolExecutor() as pool:
        yield {stack: pool.submit(lambda stack=stack: stack.init().apply()) for stack in (runtime, single_host)}


def test_runtime_applies_and_a_second_plan_is_empty(runtime, applying):
    applying[runtime].result()
    assert runtime.second_plan() == ""


def test_single_host_applies_and_a_second_plan_is_empty(single_host, applying):
    applying[single_host].result()
    assert single_host.second_plan() == ""


def test_runtime_attaches_the_single_host(runtime):
    plan, _ = runtime.plan_json(attach_single_host=True)
    services = [r for r in plan["planned_values"]["root_module"]["child_modules"] if ".aws_ecs_service" in json.dumps(r)]
    assert [service["address"] for service in services] == ['module.service["app"]']


def test_a_second_apply_waits_for_the_lock(runtime, aws, backend):
    """Whoever holds the lock object is left alone: the second one is refused, and changes nothing."""
    s3 = boto3.client("s3", endpoint_url=aws, region_name="ap-southeast-2", aws_access_key_id="testing", aws_secret_access_key="testing")
    lock = {"ID": "0", "Operation": "OperationTypeApply", "Who": "somebody", "Version": "1.11", "Created": "2026-01-01T00:00:00Z", "Info": "", "Path": ""}
    s3.put_object(Bucket=backend["bucket"], Key="runtime.tfstate.tflock", Body=json.dumps(lock))
    try:
        refused = runtime.plan(check=False)
        assert refused.returncode == 1 and "Error acquiring the state lock" in refused.stderr, refused.stderr
        assert "412" in refused.stderr or "PreconditionFailed" in refused.stderr, refused.stderr
    finally:
        s3.delete_object(Bucket=backend["bucket"], Key="runtime.tfstate.tflock")


def test_no_secret_is_in_a_state_or_a_plan(base, runtime, aws, backend):
    """The secrets that AWS made are nowhere in what Terraform keeps."""
    ssm = boto3.client("ssm", endpoint_url=aws, region_name="ap-southeast-2", aws_access_key_id="testing", aws_secret_access_key="testing")
    secret = ssm.get_parameter(Name="/signalbox/grafana-admin-password", WithDecryption=True)["Parameter"]["Value"]
    assert len(secret) == 32 and secret.isalnum(), "AWS made a password of 32 letters and digits"
    for stack in (base, runtime):
        plan, file = stack.plan_json()
        assert secret not in json.dumps(plan) and secret not in stack.stored_state()
        assert secret.encode() not in b"".join(zipfile.ZipFile(file).read(name) for name in zipfile.ZipFile(file).namelist())


def test_task_definitions_agree_with_configs(runtime, runtime_definitions):
    found = [r["values"] for r in iam.walk(runtime.state_json()["values"]["root_module"]) if r["type"] == "aws_ecs_task_definition"]
    assert sorted(task["family"] for task in found) == ["signalbox-app", "signalbox-grafana", "signalbox-load-tester", "signalbox-loki"]
    runtime_definitions.update({task["family"]: task["container_definitions"] for task in found})
    assert tasks.problems(found, TERRAFORM.parent / "configs") == []


@pytest.mark.parametrize(("container", "key", "value"), [
    ("collector", "environment", []),
    ("app", "environment", [{"name": "NO_SUCH_VARIABLE", "value": "1"}]),
    ("app", "portMappings", [{"name": "app-http", "containerPort": 1}]),
    ("app", "memory", 129),
    ("collector", "healthCheck", {"command": ["CMD", "/bin/true"]}),
    ("app", "user", "0:0"),
    ("app", "readonlyRootFilesystem", False),
])
def test_a_wrong_task_definition_is_seen(runtime_definitions, container, key, value):
    containers = json.loads(runtime_definitions["signalbox-app"])
    next(one for one in containers if one["name"] == container)[key] = value
    task = {"family": "app", "cpu": "256", "memory": "1024", "container_definitions": json.dumps(containers)}
    assert tasks.problems([task], TERRAFORM.parent / "configs") != []


@pytest.mark.parametrize("statement", [
    {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::a"},
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
    {"Effect": "Allow", "Action": "s3:GetEverything", "Resource": "arn:aws:s3:::a/*"},
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}},
    {"Effect": "Allow", "Action": "s3:GetObject"},
])
def test_a_wrong_policy_is_seen(statement):
    assert any(problem.startswith("here") for problem in iam.problems([("here", {"Statement": [statement]})]))


def test_iam_documents_name_their_actions_and_resources(bootstrap, base, runtime, single_host):
    documents = iam.documents(bootstrap.state_json(), base.state_json(), runtime.state_json(), single_host.state_json())
    assert len(documents) >= 20, "every role and policy is looked at"
    assert iam.problems(documents) == []


def test_policies_fit_in_what_aws_allows(bootstrap):
    for address, document in iam.documents(bootstrap.state_json()):
        if address.startswith("aws_iam_policy."):
            assert len(json.dumps(document, separators=(",", ":"))) <= 6144, address


def test_every_profile_is_priced_and_the_default_fits_the_budget(base, runtime, single_host):
    settings = json.loads((cost.HERE / "profiles.json").read_text())
    stacks = {"base": base, "runtime": runtime, "single-host": single_host}
    totals = {}
    for name, profile in settings["profiles"].items():
        documents = {stack: stacks[stack].plan_json(**variables)[0] for stack, variables in profile["stacks"].items()}
        for region in ("ap-southeast-2", "us-east-1"):
            totals[name, region] = cost.total(cost.month(name, documents, cost.Prices(region), settings))
    if os.environ.get("SIGNALBOX_COST_TABLE"):
        print("\n".join(cost_row(name, profile, totals) for name, profile in settings["profiles"].items()))
    page = (TERRAFORM.parent / "docs/aws.md").read_text()
    for name, profile in settings["profiles"].items():
        row = cost_row(name, profile, totals)
        assert row in page, f"docs/aws.md lacks: {row}"
    assert totals[settings["default"], "ap-southeast-2"] <= settings["budget"]


def cost_row(name, profile, totals):
    return f"| `{name}` | {profile['description']} | {totals[name, 'ap-southeast-2']:.2f} | {totals[name, 'us-east-1']:.2f} |"


@pytest.fixture(scope="module")
def destroying(runtime, single_host):
    with ThreadPoolExecutor() as pool:
        yield {stack: pool.submit(stack.destroy) for stack in (single_host, runtime)}


def test_single_host_goes_and_leaves_nothing(single_host, destroying):
    assert destroying[single_host].result() == ""


def test_runtime_goes_and_leaves_nothing(runtime, destroying):
    assert destroying[runtime].result() == ""


def test_base_goes_and_leaves_nothing(base):
    assert base.destroy() == ""


def test_bootstrap_goes_and_leaves_nothing(bootstrap):
    assert bootstrap.destroy() == ""
