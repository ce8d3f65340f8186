"""The app's image goes to a registry and comes back by digest, and runs with its task definition's own environment, user,
read-only root and health command: under podman, as near to Fargate as one machine comes.

Needs podman, skopeo, docker-registry, runc and a built binary (SIGNALBOX_BIN, or target/debug/signalbox)."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import image
from conftest import TERRAFORM, free_port

BINARY = pathlib.Path(os.environ.get("SIGNALBOX_BIN") or pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or TERRAFORM.parent / "target") / "debug/signalbox")
TOOLS = ("podman", "skopeo", "docker-registry", "runc", "ldd")
# What a container engine inside a container or under a user without limits of its own needs; harmless elsewhere.
PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs"]


def not_run(what):
    print(f"not run: {what}")
    if os.environ.get("SIGNALBOX_REQUIRE") == "all":
        pytest.fail(f"not run: {what}")
    pytest.skip(f"not run: {what}")


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert not check or done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}"
    return done


@pytest.fixture
def registry(tmp_path):
    port = free_port()
    config = tmp_path / "registry.yml"
    config.write_text(json.dumps({
        "version": 0.1, "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}}, "http": {"addr": f"127.0.0.1:{port}"},
    }))
    server = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2).status == 200)
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.wait(10)


def until(holds, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
        except (OSError, urllib.error.URLError):
            pass
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.2)


def test_the_app_runs_as_its_task_definition_says(registry, tmp_path, runtime_definitions):
    for tool in TOOLS:
        shutil.which(tool) or not_run(tool)
    BINARY.exists() or not_run(f"{BINARY}: cargo build first")
    runtime_definitions or not_run("test_apply.py, which applies the task definition")
    definition = next(c for c in json.loads(runtime_definitions["signalbox-app"]) if c["name"] == "app")

    # Push, and take it back by the digest that the registry knows.
    digest = image.oci_layout(tmp_path / "image", BINARY, ["app"])
    target = f"{registry}/signalbox/signalbox-app"
    run("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", f"oci:{tmp_path / 'image'}", f"docker://{target}:content")
    assert json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{target}:content").stdout)["Digest"] == digest
    run(*PODMAN, "pull", "--tls-verify=false", f"{target}@{digest}")

    # A port of its own, since 8080 may be somebody's; everything else as ECS would give it.
    port = free_port()
    name = f"signalbox-test-{os.getpid()}"
    environment = {pair["name"]: pair["value"] for pair in definition["environment"]} | {"PORT": str(port)}
    command = [*PODMAN, "run", "--detach", "--name", name, "--network", "host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    command += ["--user", definition["user"]] + [f"--env={key}={value}" for key, value in environment.items()]
    if definition["readonlyRootFilesystem"]:
        command += ["--read-only", "--read-only-tmpfs=false"]
    command += [f"--cap-drop={capability}" for capability in definition["linuxParameters"]["capabilities"]["drop"]]
    for mount in definition["mountPoints"]:
        command += ["--tmpfs", f"{mount['containerPath']}:rw,mode=1777"]
    try:
        run(*command, f"{target}@{digest}", *definition.get("command", []))
        health = [part.replace(":8080/", f":{port}/") for part in definition["healthCheck"]["command"][1:]]
        try:
            until(lambda: run(*PODMAN, "exec", name, *health, check=False).returncode == 0)
        except AssertionError as error:
            raise AssertionError(run(*PODMAN, "logs", name).stderr[-3000:]) from error
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/data", timeout=10) as answer:
            assert answer.status == 200
        owner = run(*PODMAN, "top", name, "huser").stdout.split()
        assert "0" not in owner and "root" not in owner, owner
        # As ECS ends a task: SIGTERM, and time to flush.
        run(*PODMAN, "stop", "--time", str(definition["stopTimeout"]), name)
        state = json.loads(run(*PODMAN, "inspect", name).stdout)[0]["State"]
        assert state["ExitCode"] in (0, 128 + signal.SIGTERM), state
    finally:
        run(*PODMAN, "rm", "--force", name, check=False)
        run(*PODMAN, "rmi", "--force", f"{target}@{digest}", check=False)
