"""Every stack is really applied, to a stand-in for AWS: bootstrap, base, runtime, single-host, in the order of docs/aws.md,
and taken down again in the opposite order. The tests of this file build on each other; the last one leaves nothing."""

import json
import subprocess

import pytest


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
    images = {
        image: {"repository": f"123456789012.dkr.ecr.ap-southeast-2.amazonaws.com/signalbox/signalbox-{image}", "digest": "sha256:" + "a" * 64}
        for image in ("app", "load-tester", "collector", "loki", "grafana")
    }
    return terraform("runtime", backend, state_bucket=backend["bucket"], images=images, allowed_cidrs=["203.0.113.7/32"])


def test_runtime_applies_and_a_second_plan_is_empty(runtime):
    runtime.init().apply()
    assert runtime.second_plan() == ""


def test_runtime_goes_and_leaves_nothing(runtime):
    assert runtime.destroy() == ""


def test_base_goes_and_leaves_nothing(base):
    assert base.destroy() == ""


def test_bootstrap_goes_and_leaves_nothing(bootstrap):
    assert bootstrap.destroy() == ""
