"""Reads every IAM document out of Terraform's state and says what is wrong with it. Used by test_apply.py.

The rules: no action is `*` or `service:*` in an Allow; resource `*` only for actions that AWS gives no resource level, each listed in
star_resources.json with the reason; no principal `*` in an Allow.
"""

import json
import pathlib
import re

from policy_sentry.querying.actions import get_action_data

STAR = json.loads((pathlib.Path(__file__).parent / "star_resources.json").read_text())
POLICY_KEYS = ("policy", "assume_role_policy")


def walk(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from walk(child)


def documents(*states):
    """(address, document) of every policy in the states."""
    found = []
    for state in states:
        for resource in walk(state["values"]["root_module"]):
            if resource["mode"] != "managed" or not re.match("aws_(iam_|s3_bucket_policy|sns_topic_policy|vpc_endpoint)", resource["type"]):
                continue
            for key in POLICY_KEYS:
                text = resource["values"].get(key)
                if text and resource["type"] != "aws_vpc_endpoint":
                    found.append((resource["address"] if key == "policy" else f"{resource['address']} trust", json.loads(text)))
    return found


def levels(action):
    """Kinds of resource that AWS lets an action be limited to, by policy_sentry's copy of AWS' own reference; None for no such action."""
    service, name = action.split(":")
    rows = (get_action_data(service, name) or {}).get(service)
    return None if not rows else {row["resource_arn_format"] for row in rows} - {"*"}


def as_list(value):
    return value if isinstance(value, list) else [value]


def problems(found):
    """Sentences, one a fault; and one for each listed action that nobody needs any more."""
    wrong, used = [], set()
    for address, document in found:
        for statement in as_list(document["Statement"]):
            if statement["Effect"] != "Allow":
                continue
            where = f"{address} {statement.get('Sid', '')}"
            for action in as_list(statement["Action"]):
                if "*" in action:
                    wrong.append(f"{where}: action `{action}` has a wildcard")
                elif levels(action) is None:
                    wrong.append(f"{where}: AWS has no action `{action}`")
            if "*" in as_list(statement.get("Resource", [])):
                for action in as_list(statement["Action"]):
                    used.add(action)
                    if levels(action):
                        wrong.append(f"{where}: `{action}` on every resource, although AWS can limit it to {levels(action)}")
                    if action not in STAR:
                        wrong.append(f"{where}: `{action}` on every resource, without a reason in star_resources.json")
            principal = statement.get("Principal", {})
            if principal == "*" or "*" in [p for value in (principal.values() if isinstance(principal, dict) else []) for p in as_list(value)]:
                wrong.append(f"{where}: everybody is trusted")
            if "Resource" not in statement and "Principal" not in statement:
                wrong.append(f"{where}: neither resource nor principal")
    wrong += [f"star_resources.json lists `{action}`, which no document needs" for action in STAR if action not in used]
    return wrong
