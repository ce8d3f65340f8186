# What the deploy role may do: make, change and remove what base/, runtime/ and single-host/ hold, by name and region.
# Never `*` for an action; `*` for a resource only where AWS has none (terraform/tests/star_resources.json).
# Several policies, since one policy holds 6,144 characters.

data "aws_iam_policy_document" "describe" {
  statement {
    sid = "WithoutResourceLevel"
    actions = [
      "application-autoscaling:DescribeScalableTargets",
      "application-autoscaling:DescribeScalingPolicies",
      "application-autoscaling:DescribeScheduledActions",
      "ec2:DescribeAddresses",
      "ec2:DescribeAddressesAttribute",
      "ec2:DescribeAvailabilityZones",
      "ec2:DescribeImages",
      "ec2:DescribeInstanceCreditSpecifications",
      "ec2:DescribeInstances",
      "ec2:DescribeInstanceTypes",
      "ec2:DescribeInternetGateways",
      "ec2:DescribeManagedPrefixLists",
      "ec2:DescribeNatGateways",
      "ec2:DescribeNetworkAcls",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribePrefixLists",
      "ec2:DescribeRouteTables",
      "ec2:DescribeSecurityGroupRules",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeTags",
      "ec2:DescribeVolumes",
      "ec2:DescribeVpcEndpoints",
      "ec2:DescribeVpcs",
      "ecs:DescribeTaskDefinition",
      "elasticloadbalancing:DescribeCapacityReservation",
      "elasticloadbalancing:DescribeListenerAttributes",
      "elasticloadbalancing:DescribeListeners",
      "elasticloadbalancing:DescribeLoadBalancerAttributes",
      "elasticloadbalancing:DescribeLoadBalancers",
      "elasticloadbalancing:DescribeRules",
      "elasticloadbalancing:DescribeTags",
      "elasticloadbalancing:DescribeTargetGroupAttributes",
      "elasticloadbalancing:DescribeTargetGroups",
      "elasticloadbalancing:DescribeTargetHealth",
      "secretsmanager:GetRandomPassword",
      "servicediscovery:GetOperation",
      "servicediscovery:ListNamespaces",
      "ssm:DescribeParameters",
      "xray:GetSamplingRules",
    ]
    resources = ["*"]
  }

  statement {
    sid = "DescribeOwn"
    actions = [
      "ec2:DescribeInstanceAttribute",
      "ec2:DescribeVpcAttribute",
      "application-autoscaling:ListTagsForResource",
      "aps:DescribeAlertManagerDefinition",
      "aps:DescribeLoggingConfiguration",
      "aps:DescribeRuleGroupsNamespace",
      "aps:DescribeWorkspace",
      "aps:ListTagsForResource",
      "budgets:ListTagsForResource",
      "budgets:ViewBudget",
      "cloudwatch:DescribeAlarms",
      "cloudwatch:ListTagsForResource",
      "ecr:DescribeRepositories",
      "ecr:GetLifecyclePolicy",
      "ecr:ListTagsForResource",
      "ecs:DescribeClusters",
      "ecs:DescribeServices",
      "ecs:ListTagsForResource",
      "grafana:DescribeWorkspace",
      "grafana:ListTagsForResource",
      "iam:GetInstanceProfile",
      "iam:GetPolicy",
      "iam:GetPolicyVersion",
      "iam:GetRole",
      "iam:GetRolePolicy",
      "iam:ListAttachedRolePolicies",
      "iam:ListInstanceProfilesForRole",
      "iam:ListPolicyVersions",
      "iam:ListRolePolicies",
      "logs:DescribeLogGroups",
      "logs:DescribeMetricFilters",
      "logs:ListTagsForResource",
      "rds:DescribeDBInstances",
      "rds:DescribeDBParameterGroups",
      "rds:DescribeDBParameters",
      "rds:DescribeDBSubnetGroups",
      "rds:ListTagsForResource",
      "servicediscovery:GetNamespace",
      "servicediscovery:ListTagsForResource",
      "sns:GetSubscriptionAttributes",
      "sns:GetTopicAttributes",
      "sns:ListTagsForResource",
      "ssm:ListTagsForResource",
      "xray:GetGroup",
      "xray:ListTagsForResource",
    ]
    resources = [
      "arn:${local.partition}:application-autoscaling:${local.here}:scalable-target/*",
      "arn:${local.partition}:aps:${local.here}:*",
      "arn:${local.partition}:budgets::${local.account}:budget/${var.name}-*",
      "arn:${local.partition}:cloudwatch:${local.here}:alarm:${var.name}-*",
      "arn:${local.partition}:ec2:${local.here}:*/*",
      "arn:${local.partition}:ecr:${local.here}:repository/${var.name}/*",
      "arn:${local.partition}:ecs:${local.here}:*/${var.name}*",
      "arn:${local.partition}:grafana:${local.here}:/workspaces/*",
      "arn:${local.partition}:iam::${local.account}:instance-profile/${var.name}-*",
      "arn:${local.partition}:iam::${local.account}:policy/${var.name}-*",
      "arn:${local.partition}:iam::${local.account}:role/${var.name}-*",
      "arn:${local.partition}:logs:${local.here}:log-group:*",
      "arn:${local.partition}:rds:${local.here}:*:${var.name}-*",
      "arn:${local.partition}:servicediscovery:${local.here}:*/*",
      local.our_topic,
      local.our_param,
      "arn:${local.partition}:xray:${local.here}:*/${var.name}*",
    ]
  }

  statement {
    sid = "DescribeBuckets"
    actions = [
      "s3:GetAccelerateConfiguration",
      "s3:GetBucketAcl",
      "s3:GetBucketCORS",
      "s3:GetBucketLocation",
      "s3:GetBucketLogging",
      "s3:GetBucketObjectLockConfiguration",
      "s3:GetBucketOwnershipControls",
      "s3:GetBucketPolicy",
      "s3:GetBucketPublicAccessBlock",
      "s3:GetBucketRequestPayment",
      "s3:GetBucketTagging",
      "s3:GetBucketVersioning",
      "s3:GetBucketWebsite",
      "s3:GetEncryptionConfiguration",
      "s3:GetLifecycleConfiguration",
      "s3:GetReplicationConfiguration",
      "s3:ListBucket",
    ]
    resources = ["arn:${local.partition}:s3:::${var.name}-*"]
  }
}

data "aws_iam_policy_document" "network" {
  # EC2 names things by number, so the region and the account are the limit, and the tag Project on what exists.
  statement {
    sid = "CreateNetwork"
    actions = [
      "ec2:AllocateAddress", "ec2:CreateInternetGateway", "ec2:CreateNatGateway", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup",
      "ec2:CreateSubnet", "ec2:CreateVpc", "ec2:CreateVpcEndpoint", "ec2:CreateTags", "ec2:RunInstances",
    ]
    resources = ["arn:${local.partition}:ec2:${local.here}:*/*"]
  }

  statement {
    sid       = "RunFromPublicImages"
    actions   = ["ec2:RunInstances"]
    resources = ["arn:${local.partition}:ec2:${var.region}::image/*"]
  }

  statement {
    sid = "ChangeOwnNetwork"
    actions = [
      "ec2:AssociateAddress", "ec2:AssociateRouteTable", "ec2:AttachInternetGateway",
      "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateRoute", "ec2:DeleteInternetGateway",
      "ec2:DeleteNatGateway", "ec2:DeleteRoute", "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet",
      "ec2:DeleteTags", "ec2:DeleteVpc", "ec2:DeleteVpcEndpoints", "ec2:DetachInternetGateway", "ec2:DisassociateAddress",
      "ec2:DisassociateRouteTable", "ec2:ModifyInstanceAttribute", "ec2:ModifyInstanceMetadataOptions",
      "ec2:ModifySecurityGroupRules", "ec2:ModifySubnetAttribute", "ec2:ModifyVpcAttribute", "ec2:ModifyVpcEndpoint",
      "ec2:ReleaseAddress", "ec2:ReplaceRoute", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
      "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances",
    ]
    resources = ["arn:${local.partition}:ec2:${local.here}:*/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Project"
      values   = [var.name]
    }
  }

  # Rules of a security group carry their tags only once made; the group itself is checked above.
  statement {
    sid       = "SecurityGroupRules"
    actions   = ["ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"]
    resources = ["arn:${local.partition}:ec2:${local.here}:security-group-rule/*"]
  }

  statement {
    sid = "LoadBalancer"
    actions = [
      "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateLoadBalancer",
      "elasticloadbalancing:CreateRule", "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:DeleteListener",
      "elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteRule", "elasticloadbalancing:DeleteTargetGroup",
      "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyListenerAttributes",
      "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyRule", "elasticloadbalancing:ModifyTargetGroup",
      "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:RegisterTargets", "elasticloadbalancing:RemoveTags",
      "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
    ]
    resources = [
      "arn:${local.partition}:elasticloadbalancing:${local.here}:loadbalancer/app/${var.name}-*",
      "arn:${local.partition}:elasticloadbalancing:${local.here}:targetgroup/${var.name}-*",
      "arn:${local.partition}:elasticloadbalancing:${local.here}:listener/app/${var.name}-*",
      "arn:${local.partition}:elasticloadbalancing:${local.here}:listener-rule/app/${var.name}-*",
    ]
  }
}

data "aws_iam_policy_document" "compute" {
  statement {
    sid = "Containers"
    actions = [
      "ecs:CreateCluster", "ecs:CreateService", "ecs:DeleteCluster", "ecs:DeleteService", "ecs:DescribeTasks",
      "ecs:PutClusterCapacityProviders", "ecs:RegisterTaskDefinition", "ecs:RunTask", "ecs:StopTask", "ecs:TagResource",
      "ecs:UntagResource", "ecs:UpdateCluster", "ecs:UpdateClusterSettings", "ecs:UpdateService",
    ]
    resources = [
      "arn:${local.partition}:ecs:${local.here}:cluster/${var.name}",
      "arn:${local.partition}:ecs:${local.here}:service/${var.name}/*",
      "arn:${local.partition}:ecs:${local.here}:task/${var.name}/*",
      "arn:${local.partition}:ecs:${local.here}:task-definition/${var.name}-*",
    ]
  }

  statement {
    sid = "Images"
    actions = [
      "ecr:BatchCheckLayerAvailability", "ecr:BatchDeleteImage", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:CreateRepository",
      "ecr:DeleteLifecyclePolicy", "ecr:DeleteRepository", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer",
      "ecr:InitiateLayerUpload", "ecr:ListImages", "ecr:PutImage", "ecr:PutImageScanningConfiguration",
      "ecr:PutImageTagMutability", "ecr:PutLifecyclePolicy", "ecr:TagResource", "ecr:UntagResource", "ecr:UploadLayerPart",
    ]
    resources = ["arn:${local.partition}:ecr:${local.here}:repository/${var.name}/*"]
  }

  statement {
    sid = "Logs"
    actions = [
      "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteRetentionPolicy", "logs:FilterLogEvents", "logs:PutRetentionPolicy",
      "logs:TagResource", "logs:UntagResource",
    ]
    resources = [local.our_logs]
  }

  statement {
    sid = "Scaling"
    actions = [
      "application-autoscaling:DeleteScalingPolicy", "application-autoscaling:DeleteScheduledAction",
      "application-autoscaling:DeregisterScalableTarget", "application-autoscaling:PutScalingPolicy",
      "application-autoscaling:PutScheduledAction", "application-autoscaling:RegisterScalableTarget",
      "application-autoscaling:TagResource",
    ]
    resources = ["arn:${local.partition}:application-autoscaling:${local.here}:scalable-target/*"]
  }

  # Namespaces are named by number; creating one has no resource to name.
  statement {
    sid = "Names"
    actions = [
      "servicediscovery:CreatePrivateDnsNamespace", "servicediscovery:CreateService", "servicediscovery:DeleteNamespace",
      "servicediscovery:DeleteService", "servicediscovery:GetService", "servicediscovery:TagResource",
      "servicediscovery:UntagResource", "servicediscovery:UpdateService",
    ]
    resources = [
      "arn:${local.partition}:servicediscovery:${local.here}:namespace/*",
      "arn:${local.partition}:servicediscovery:${local.here}:service/*",
    ]
  }

  # A private namespace is a hosted zone as well.
  statement {
    sid       = "Zone"
    actions   = ["route53:ChangeResourceRecordSets", "route53:DeleteHostedZone", "route53:GetHostedZone", "route53:AssociateVPCWithHostedZone"]
    resources = ["arn:${local.partition}:route53:::hostedzone/*", "arn:${local.partition}:ec2:${local.here}:vpc/*"]
  }

  statement {
    sid       = "WithoutResourceLevel"
    actions   = ["ecr:GetAuthorizationToken", "ecs:DeregisterTaskDefinition", "route53:CreateHostedZone", "route53:ListHostedZonesByName"]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "data" {
  statement {
    sid = "DataBucket"
    actions = [
      "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:DeleteObject", "s3:DeleteObjectVersion",
      "s3:ListBucketVersions", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging",
      "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration",
    ]
    resources = [local.our_data, "${local.our_data}/*"]
  }

  # Workspaces are named by number.
  statement {
    sid = "Metrics"
    actions = [
      "aps:CreateAlertManagerDefinition", "aps:CreateLoggingConfiguration", "aps:CreateRuleGroupsNamespace", "aps:CreateWorkspace",
      "aps:DeleteAlertManagerDefinition", "aps:DeleteLoggingConfiguration", "aps:DeleteRuleGroupsNamespace", "aps:DeleteWorkspace",
      "aps:PutAlertManagerDefinition", "aps:PutRuleGroupsNamespace", "aps:TagResource", "aps:UntagResource",
      "aps:UpdateLoggingConfiguration", "aps:UpdateWorkspaceAlias",
    ]
    resources = [
      "arn:${local.partition}:aps:${local.here}:/workspaces",
      "arn:${local.partition}:aps:${local.here}:workspace/*",
      "arn:${local.partition}:aps:${local.here}:rulegroupsnamespace/*",
    ]
  }

  statement {
    sid = "Traces"
    actions = [
      "xray:CreateGroup", "xray:CreateSamplingRule", "xray:DeleteGroup", "xray:DeleteSamplingRule", "xray:TagResource",
      "xray:UntagResource", "xray:UpdateGroup", "xray:UpdateSamplingRule",
    ]
    resources = [
      "arn:${local.partition}:xray:${local.here}:group/${var.name}/*",
      "arn:${local.partition}:xray:${local.here}:sampling-rule/${var.name}-*",
    ]
  }

  statement {
    sid = "Parameters"
    actions = [
      "ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:GetParameter", "ssm:GetParameters", "ssm:PutParameter",
      "ssm:RemoveTagsFromResource",
    ]
    resources = [local.our_param]
  }

  statement {
    sid       = "PublicParameters"
    actions   = ["ssm:GetParameter"]
    resources = ["arn:${local.partition}:ssm:${var.region}::parameter/aws/service/*"]
  }

  statement {
    sid = "Alarms"
    actions = [
      "cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource",
    ]
    resources = ["arn:${local.partition}:cloudwatch:${local.here}:alarm:${var.name}-*"]
  }

  statement {
    sid = "Topics"
    actions = [
      "sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:Unsubscribe", "sns:UntagResource",
    ]
    resources = [local.our_topic]
  }

  statement {
    sid       = "Budget"
    actions   = ["budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"]
    resources = ["arn:${local.partition}:budgets::${local.account}:budget/${var.name}-*"]
  }

  statement {
    sid = "Database"
    actions = [
      "rds:AddTagsToResource", "rds:CreateDBInstance", "rds:CreateDBParameterGroup", "rds:CreateDBSubnetGroup", "rds:DeleteDBInstance", "rds:DeleteDBParameterGroup",
      "rds:DeleteDBSubnetGroup", "rds:ModifyDBInstance", "rds:ModifyDBParameterGroup", "rds:ModifyDBSubnetGroup", "rds:RemoveTagsFromResource",
    ]
    resources = [
      "arn:${local.partition}:rds:${local.here}:db:${var.name}-*",
      "arn:${local.partition}:rds:${local.here}:pg:${var.name}-*",
      "arn:${local.partition}:rds:${local.here}:subgrp:${var.name}-*",
    ]
  }

  statement {
    sid       = "ManagedGrafana"
    actions   = ["grafana:DeleteWorkspace", "grafana:TagResource", "grafana:UntagResource", "grafana:UpdateWorkspace"]
    resources = ["arn:${local.partition}:grafana:${local.here}:/workspaces/*"]
  }

  statement {
    sid       = "WithoutResourceLevel"
    actions   = ["grafana:CreateWorkspace", "sso:CreateManagedApplicationInstance"]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "roles" {
  statement {
    sid       = "MakeRolesWithinTheBoundary"
    actions   = ["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/${var.name}-*"]

    condition {
      test     = "StringEquals"
      variable = "iam:PermissionsBoundary"
      values   = [local.boundary_arn]
    }
  }

  statement {
    sid = "KeepRoles"
    actions = [
      "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:DeleteRole",
      "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagRole", "iam:UntagInstanceProfile", "iam:UntagRole",
      "iam:UpdateAssumeRolePolicy", "iam:UpdateRoleDescription",
    ]
    resources = [
      "arn:${local.partition}:iam::${local.account}:role/${var.name}-*",
      "arn:${local.partition}:iam::${local.account}:instance-profile/${var.name}-*",
    ]
  }

  statement {
    sid       = "GiveRolesToOwnServices"
    actions   = ["iam:PassRole"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/${var.name}-*"]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com", "grafana.amazonaws.com"]
    }
  }

  # The first service of its kind in an account brings its own role.
  statement {
    sid       = "ServiceLinkedRoles"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/aws-service-role/*"]

    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values = [
        "ecs.amazonaws.com", "ecs.application-autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com",
        "rds.amazonaws.com", "grafana.amazonaws.com", "spot.amazonaws.com",
      ]
    }
  }
}

locals {
  deploy_policies = {
    describe = data.aws_iam_policy_document.describe.json
    network  = data.aws_iam_policy_document.network.json
    compute  = data.aws_iam_policy_document.compute.json
    data     = data.aws_iam_policy_document.data.json
    roles    = data.aws_iam_policy_document.roles.json
  }
}

resource "aws_iam_policy" "deploy" {
  for_each = local.deploy_policies

  name        = "${var.name}-deploy-${each.key}"
  path        = local.ci_path
  description = "GitHub Actions of ${var.repository}, deploy: ${each.key}"
  policy      = each.value
}

resource "aws_iam_role_policy_attachment" "deploy" {
  for_each = aws_iam_policy.deploy

  role       = aws_iam_role.ci["deploy"].name
  policy_arn = each.value.arn
}
