"""The AWS stand-in on a free port, and Terraform against it: what the tests in this folder share."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

TERRAFORM = pathlib.Path(__file__).resolve().parent.parent
# Each call of Terraform ends, whatever the stand-in does: the provider retries a 500 for many minutes.
DEADLINE = int(os.environ.get("SIGNALBOX_TF_DEADLINE", "600"))
# Stopped as by Ctrl-C: the stand-in and the container end too.
signal.signal(signal.SIGTERM, signal.default_int_handler)


class Stack:
    """One of the stacks, in a copy of the tree (so that no state or lock file is left in it)."""

    def __init__(self, root, name, environment, backend=None, variables=None):
        self.folder, self.environment, self.backend = root / "terraform" / name, environment, backend
        self.variables = variables or {}
        self.plans = {}  # by the variables that differ; as old as the last apply or destroy

    def run(self, *arguments, check=True, environment=None):
        done = subprocess.run(
            ["terraform", f"-chdir={self.folder}", *arguments], env={**self.environment, **(environment or {})},
            capture_output=True, text=True, timeout=DEADLINE,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"terraform {' '.join(arguments)} in {self.folder.name}: exit {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-6000:]}")
        return done

    def init(self):
        backend = [f"-backend-config={key}={value}" for key, value in (self.backend or {}).items()]
        self.run("init", "-input=false", "-lockfile=readonly", *backend)
        return self

    def _vars(self, **changed):
        variables = {**self.variables, **changed}
        return [f"-var={key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in variables.items()]

    def apply(self):
        self.plans = {}
        self.run("apply", "-input=false", "-auto-approve", *self._vars())
        return self

    def destroy(self):
        self.plans = {}
        self.run("destroy", "-input=false", "-auto-approve", *self._vars())
        return self.run("state", "list").stdout

    def second_plan(self):
        """What a plan right after apply would still change; empty is the promise."""
        done = self._plan()["done"]
        return "" if done.returncode == 0 else done.stdout

    def _plan(self, **changed):
        """Made once: Terraform takes seconds of CPU for each command, to start the provider alone."""
        key = json.dumps(changed, sort_keys=True)
        if key not in self.plans:
            file = self.folder / f"{len(self.plans)}.tfplan"
            done = self.run("plan", "-input=false", "-detailed-exitcode", f"-out={file}", *self._vars(**changed), check=False)
            assert done.returncode in (0, 2), done.stderr
            self.plans[key] = {"done": done, "file": file}
        return self.plans[key]

    def plan(self, check=True, **environment):
        return self.run("plan", "-input=false", *self._vars(), check=check, environment=environment)

    def plan_json(self, **changed):
        """What would be with some variables changed, and the plan's file."""
        plan = self._plan(**changed)
        if "json" not in plan:
            plan["json"] = json.loads(self.run("show", "-json", str(plan["file"])).stdout)
        return plan["json"], plan["file"]

    def state_json(self):
        """As `show -json` has it, read with the plan."""
        return self.plan_json()[0]["prior_state"]

    def stored_state(self):
        """The text that the backend keeps."""
        return self.run("state", "pull").stdout

    def outputs(self):
        return {key: output["value"] for key, output in json.loads(self.run("output", "-json").stdout).items()}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def aws():
    """Address of a fresh, empty account."""
    port = free_port()
    log = open(os.environ.get("SIGNALBOX_MOTO_LOG", os.devnull), "w")
    server = subprocess.Popen(
        [sys.executable, TERRAFORM / "tests/standin.py", str(port)], stdout=log, stderr=log,
        env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=2)
                break
            except OSError:
                assert server.poll() is None, "the stand-in died"
                assert time.monotonic() < deadline, "the stand-in did not start"
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def terraform(aws, tmp_path_factory):
    """A function that gives a Stack by name."""
    root = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfplan", "__pycache__")
    for folder in ("terraform", "configs"):
        shutil.copytree(TERRAFORM.parent / folder, root / folder, ignore=ignore, symlinks=True)
    (root / "nix").mkdir()
    for extra in ("compose.yaml", "nix/grafana-plugins.json"):
        shutil.copy(TERRAFORM.parent / extra, root / extra)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        "AWS_ENDPOINT_URL": aws, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "ap-southeast-2", "AWS_EC2_METADATA_DISABLED": "true",
        "TF_IN_AUTOMATION": "1", "TF_CLI_ARGS": "-no-color", "CHECKPOINT_DISABLE": "1",
    }
    return lambda name, backend=None, **variables: Stack(root, name, environment, backend, variables)


@pytest.fixture(scope="session")
def runtime_definitions():
    """Container definitions of the applied runtime by family, as JSON text: test_apply.py puts them here for test_image.py."""
    return {}
