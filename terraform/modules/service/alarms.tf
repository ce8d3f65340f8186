# Two alarms a service, from metrics that ECS gives away.

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = var.enable_observability ? { CPUUtilization = 85, MemoryUtilization = 90 } : {}

  alarm_name          = "${local.full_name}-${each.key}"
  alarm_description   = "${var.name}: ${each.key} above ${each.value} % for 15 minutes"
  namespace           = "AWS/ECS"
  metric_name         = each.key
  dimensions          = { ClusterName = var.cluster.name, ServiceName = aws_ecs_service.this.name }
  statistic           = "Average"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value
  period              = 300
  evaluation_periods  = 3
  # Scaled to zero is no reason to wake anybody.
  treat_missing_data = "notBreaching"
  alarm_actions      = [var.alarm_topic_arn]
  ok_actions         = [var.alarm_topic_arn]
}
