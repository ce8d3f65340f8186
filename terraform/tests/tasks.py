"""Holds task definitions, as they were applied, against what configs/ says. Used by test_apply.py.

Independent of the Terraform that made them: configs are read here with Python, by other means.
"""

import json
import re

# Read by a program itself, not by its config: where each is documented.
OWN = {
    "app": {"SIGNALBOX_BIND", "DATABASE_URL"},
    "load-tester": {"APP_URL"},
    "grafana": {"GF_PATHS_PROVISIONING", "GF_SERVER_ROOT_URL", "GF_SERVER_SERVE_FROM_SUB_PATH", "GF_PATHS_PLUGINS",
                "GF_PLUGINS_PREINSTALL_DISABLED", "GF_PLUGINS_PREINSTALL_SYNC", "GF_PLUGINS_DISABLE_PLUGINS",
                "GF_SECURITY_ADMIN_PASSWORD"},
    "collector": set(), "loki": set(),
}
OTEL = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_RESOURCE_ATTRIBUTES"}
GO = {"GOMEMLIMIT"}
# Container: program of stack.json and limits.json.
PROGRAM = {"load-tester": "load"}
FARGATE = {256: (512, 1024, 2048), 512: (1024, 2048, 3072, 4096)}


def files(configs, container):
    return {
        "collector": [configs / "collector/core.yaml", configs / "collector/aws.yaml"],
        "loki": [configs / "loki/loki.yaml"],
        # Folders shared with the other variants are links, which rglob does not follow.
        "grafana": [configs / "grafana/grafana.ini", *sorted(file for folder in (configs / "grafana/aws").iterdir() for file in folder.rglob("*.yaml"))],
    }.get(container, [])


def variables(configs, container):
    """(needed, allowed): variables that the container's configs read without and with a default of their own."""
    needed, allowed = set(), set()
    for file in files(configs, container):
        for line in file.read_text().splitlines():
            if line.lstrip().startswith(("#", ";")):
                continue
            for prefix, name, default in re.findall(r"(?<!\$)\$(?:__env)?\{(env:)?([A-Z][A-Z0-9_]*)(:-[^}]*)?\}", line):
                (allowed if default else needed).add(name)
    return needed, needed | allowed


def problems(definitions, configs):
    """Sentences, one a fault. `definitions` are the values of aws_ecs_task_definition resources."""
    stack = json.loads((configs / "stack.json").read_text())
    limits = json.loads((configs / "limits.json").read_text())["mib"]
    known = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (configs / "README.md").read_text()))
    wrong = []
    for task in definitions:
        containers = json.loads(task["container_definitions"])
        total = sum(container["memory"] for container in containers)
        if total > int(task["memory"]):
            wrong.append(f"{task['family']}: containers may take {total} MiB of {task['memory']}")
        if int(task["memory"]) not in FARGATE[int(task["cpu"])]:
            wrong.append(f"{task['family']}: Fargate does not sell {task['memory']} MiB for {task['cpu']} CPU units")
        for container in containers:
            name, program = container["name"], PROGRAM.get(container["name"], container["name"])
            where = f"{task['family']}/{name}"
            if container["memory"] != limits[program]:
                wrong.append(f"{where}: {container['memory']} MiB, limits.json says {limits[program]}")
            for port in container.get("portMappings", []):
                role = port["name"].removeprefix(f"{name}-")
                if stack[program]["ports"].get(role) != port["containerPort"]:
                    wrong.append(f"{where}: port {role} is {port['containerPort']}, stack.json says {stack[program]['ports'].get(role)}")
            given = {pair["name"] for pair in container["environment"]} | {pair["name"] for pair in container.get("secrets") or []}
            needed, allowed = variables(configs, name)
            ours = OWN[name] | (OTEL if name in ("app", "load-tester") else GO)
            wrong += [f"{where}: its config reads {variable}, which nobody sets" for variable in sorted(needed - given)]
            wrong += [f"{where}: {variable} is set and nothing reads it" for variable in sorted(given - allowed - ours)]
            wrong += [f"{where}: {variable} is not in configs/README.md" for variable in sorted((given & allowed) - known)]
            if name != "load-tester":
                ports, facts = stack[program]["ports"], stack[program]
                url = f"http://127.0.0.1:{ports.get('health') or ports['http']}{facts.get('ready') or facts['health']}"
                if container["healthCheck"]["command"] not in (["CMD", "/bin/signalbox", "probe", url], ["CMD", "/healthcheck"]):
                    wrong.append(f"{where}: health is {container['healthCheck']['command']}, not the probe of {url}")
            if not container["readonlyRootFilesystem"] or container["user"].startswith("0") or container["privileged"]:
                wrong.append(f"{where}: writable, root or privileged")
            if container["logConfiguration"]["logDriver"] != "awslogs":
                wrong.append(f"{where}: logs by {container['logConfiguration']['logDriver']}")
    return wrong
