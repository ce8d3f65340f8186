# Says when the month will cost more than it may. Here and not in runtime/, which is gone at night. Counts what carries the tag
# Project; the tag must be activated once under Billing, Cost allocation tags (docs/aws.md).

resource "aws_budgets_budget" "this" {
  name         = "${var.name}-month"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.budget)
  limit_unit   = "USD"

  cost_filter {
    name   = "TagKeyValue"
    values = [join("$", ["user:Project", var.name])]
  }

  notification {
    comparison_operator       = "GREATER_THAN"
    notification_type         = "ACTUAL"
    threshold                 = 80
    threshold_type            = "PERCENTAGE"
    subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
  }

  notification {
    comparison_operator       = "GREATER_THAN"
    notification_type         = "FORECASTED"
    threshold                 = 100
    threshold_type            = "PERCENTAGE"
    subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
  }

  depends_on = [aws_sns_topic_policy.alarms]
}
