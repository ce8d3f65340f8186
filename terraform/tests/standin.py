"""A stand-in for AWS: moto, with the calls it lacks answered here. Started by conftest.py; for tests only.

GAPS is the one list of what moto 5.2 lacks or forgets. When moto learns one, delete it here and the tests still pass.

Usage: standin.py PORT
"""

import io
import json
import re
import sys
import threading
import time
from urllib.parse import unquote

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, FakeDeleteMarker
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
from werkzeug.wrappers import Request, Response

GAPS = {
    "xray groups and sampling rules": "moto has no CreateGroup, CreateSamplingRule and their kin",
    "amp alert manager definition": "moto answers 404 at once",
    "budget subscribers and tags": "moto keeps them and does not tell",
    "application autoscaling tags": "moto has no tag calls",
    "ecs services": "moto forgets a service's capacity providers, grace period and rebalancing: a second plan would change them",
    "conditions of bucket policies": "moto ignores them, so that `deny where not TLS` denies everything",
    "delete markers": "moto fails (500) when a version that is a delete marker is deleted",
    "public parameters of Canonical": "moto has Amazon's own image parameters only",
    "security group rule descriptions": "moto forgets the description of a rule that names another group",
}


class StandIn:
    """WSGI: answers the gaps, hands everything else to moto."""

    def __init__(self, moto):
        self.moto = moto
        self.groups, self.rules, self.tags, self.alertmanagers, self.notifications = {}, {}, {}, {}, {}
        self.services, self.descriptions = {}, {}
        self.lock = threading.Lock()  # moto is not made for threads, nor are these

    def __call__(self, environ, start_response):
        with self.lock:
            return self.serve(environ, start_response)

    def serve(self, environ, start_response):
        request = Request(environ)
        body = request.get_data()
        service = scope_service(request)
        handler = getattr(self, f"on_{service.replace('-', '_')}", None)
        answer = handler(request, body) if handler else None
        if answer is None:
            answer = Response.from_app(self.moto, replay(environ, body))
            after = getattr(self, f"after_{service.replace('-', '_')}", None)
            if after:
                answer = after(request, body, answer) or answer
        return answer(environ, start_response)

    # X-Ray: REST with the operation as the path.
    def on_xray(self, request, body):
        data = json.loads(body or b"{}")
        operation = request.path.strip("/")
        region, account = scope_region(request), "123456789012"
        if operation == "CreateGroup":
            arn = f"arn:aws:xray:{region}:{account}:group/{data['GroupName']}/ABCDEF"
            self.groups[arn] = {"GroupARN": arn, **{k: data[k] for k in ("GroupName", "FilterExpression", "InsightsConfiguration") if k in data}}
            self.tags[arn] = data.get("Tags", [])
            return answer({"Group": self.groups[arn]})
        if operation in ("GetGroup", "UpdateGroup", "DeleteGroup"):
            found = next((g for g in self.groups.values() if data.get("GroupARN") == g["GroupARN"] or data.get("GroupName") == g["GroupName"]), None)
            if not found:
                return answer({"message": "Group not found", "Message": "Group not found"}, 400, "InvalidRequestException")
            if operation == "DeleteGroup":
                del self.groups[found["GroupARN"]]
                return answer({})
            found.update({k: data[k] for k in ("FilterExpression", "InsightsConfiguration") if operation == "UpdateGroup" and k in data})
            return answer({"Group": found})
        if operation == "CreateSamplingRule":
            rule = data["SamplingRule"]
            rule["RuleARN"] = f"arn:aws:xray:{region}:{account}:sampling-rule/{rule['RuleName']}"
            rule.setdefault("Attributes", {})
            self.rules[rule["RuleName"]] = {"SamplingRule": rule, "CreatedAt": time.time(), "ModifiedAt": time.time()}
            self.tags[rule["RuleARN"]] = data.get("Tags", [])
            return answer({"SamplingRuleRecord": self.rules[rule["RuleName"]]})
        if operation == "GetSamplingRules":
            return answer({"SamplingRuleRecords": list(self.rules.values())})
        if operation == "DeleteSamplingRule":
            return answer({"SamplingRuleRecord": self.rules.pop(data["RuleName"])})
        if operation == "ListTagsForResource":
            return answer({"Tags": self.tags.get(data["ResourceARN"], [])})
        return None

    # Amazon Managed Prometheus: only the alert manager's definition.
    def on_aps(self, request, body):
        match = re.fullmatch(r"/workspaces/([^/]+)/alertmanager/definition", request.path)
        if not match:
            return None
        workspace, now = match[1], time.time()
        if request.method in ("POST", "PUT"):
            self.alertmanagers[workspace] = json.loads(body)["data"]
            return answer({"status": {"statusCode": "ACTIVE"}}, 202)
        if workspace not in self.alertmanagers:
            return answer({"message": "not found", "resourceId": workspace, "resourceType": "alertmanager"}, 404, "ResourceNotFoundException")
        if request.method == "DELETE":
            del self.alertmanagers[workspace]
            return answer({}, 202)
        return answer({"alertManagerDefinition": {"status": {"statusCode": "ACTIVE"}, "data": self.alertmanagers[workspace], "createdAt": now, "modifiedAt": now}})

    # SSM (JSON): the public parameter that names Ubuntu's newest image.
    def on_ssm(self, request, body):
        name = json.loads(body or b"{}").get("Name", "")
        if not name.startswith("/aws/service/canonical/"):
            return None
        arn = f"arn:aws:ssm:{scope_region(request)}::parameter{name}"
        return answer({"Parameter": {"Name": name, "Type": "String", "Value": "ami-12c6146b", "Version": 1, "DataType": "aws:ec2:image", "ARN": arn}})

    # Budgets (JSON): who is told, and tags. The rest is moto's.
    def on_budgets(self, request, body):
        data, operation = json.loads(body or b"{}"), request.headers.get("X-Amz-Target", "").split(".")[-1]
        if operation == "CreateBudget":
            self.tags["budget/" + data["Budget"]["BudgetName"]] = data.get("ResourceTags", [])
        if operation == "CreateNotification":
            self.notifications[notification_key(data)] = data["Subscribers"]
        if operation == "DescribeSubscribersForNotification":
            return answer({"Subscribers": self.notifications.get(notification_key(data), [])})
        if operation == "ListTagsForResource":
            return answer({"ResourceTags": self.tags.get(data["ResourceARN"].split(":")[-1], [])})
        return None

    # Application autoscaling (JSON): only tags.
    def on_application_autoscaling(self, request, body):
        data, operation = json.loads(body or b"{}"), request.headers.get("X-Amz-Target", "").split(".")[-1]
        if operation == "RegisterScalableTarget" and "Tags" in data:
            self.tags[data["ResourceId"]] = data["Tags"]
        if operation == "TagResource":
            self.tags[data["ResourceARN"]] = data["Tags"]
            return answer({})
        if operation == "ListTagsForResource":
            return answer({"Tags": self.tags.get(data["ResourceARN"]) or next((t for k, t in self.tags.items() if k.startswith("service/")), {})})
        return None

    # ECS (JSON): remember what each service was made with, and put it back.
    def after_ecs(self, request, body, response):
        data, operation = json.loads(body or b"{}"), request.headers.get("X-Amz-Target", "").split(".")[-1]
        if operation not in ("CreateService", "UpdateService", "DescribeServices") or response.status_code != 200:
            return response
        forgotten = ("capacityProviderStrategy", "healthCheckGracePeriodSeconds", "availabilityZoneRebalancing")
        if operation != "DescribeServices":
            kept = self.services.setdefault((data.get("serviceName") or data["service"]).split("/")[-1], {})
            kept.update({key: data[key] for key in forgotten if key in data})
        told = json.loads(response.get_data())
        for service in told.get("services", [told.get("service")]):
            service.update(self.services.get(service["serviceName"], {}))
            service.pop("launchType", None)
        response.set_data(json.dumps(told))
        return response

    # EC2 (query protocol): remember descriptions, and put them back.
    def after_ec2(self, request, body, response):
        form = dict(pair.split("=", 1) for pair in body.decode().split("&") if "=" in pair)
        text = response.get_data(as_text=True)
        if form.get("Action") in ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"):
            described = next((unquote(v.replace("+", " ")) for k, v in form.items() if re.fullmatch(r"IpPermissions\.1\.Groups\.1\.Description", k)), None)
            rule = re.search(r"<securityGroupRuleId>([^<]+)<", text)
            if described and rule:
                self.descriptions[rule[1]] = described
        for rule, described in self.descriptions.items():
            text = re.sub(rf"(<securityGroupRuleId>{rule}</securityGroupRuleId>)", rf"\1<description>{described}</description>", text)
        response.set_data(text)
        return response


def notification_key(data):
    told = data["Notification"]
    return data["BudgetName"], told["NotificationType"], told["ComparisonOperator"], float(told["Threshold"]), told.get("ThresholdType", "PERCENTAGE")


def scope_service(request):
    """The service a request is signed for: .../REGION/SERVICE/aws4_request."""
    match = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", request.headers.get("Authorization", ""))
    return match[1] if match else ""


def scope_region(request):
    match = re.search(r"Credential=[^/]+/\d+/([^/]+)/", request.headers.get("Authorization", ""))
    return match[1] if match else "us-east-1"


def answer(data, status=200, error=None):
    headers = {"x-amzn-RequestId": "stand-in"}
    if error:
        headers["x-amzn-ErrorType"] = error
    return Response(json.dumps(data), status, headers, "application/json")


def replay(environ, body):
    """The same request with its body unread."""
    again = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    again.pop("HTTP_TRANSFER_ENCODING", None)
    return again


FakeDeleteMarker.dispose = lambda _: None
FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL

if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), StandIn(DomainDispatcherApplication(create_backend_app)), threaded=True)
