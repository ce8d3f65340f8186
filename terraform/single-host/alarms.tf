# Three alarms: the machine is not well, its disk fills, its memory is gone. The last two come from the machine's own timer,
# and its silence is an alarm too.

locals {
  alarms = {
    status = { namespace = "AWS/EC2", metric = "StatusCheckFailed", threshold = 0, missing = "missing", what = "the instance fails its status check" }
    disk   = { namespace = var.name, metric = "DiskUsed", threshold = 80, missing = "breaching", what = "more than 80 % of the disk is used, or the machine is silent" }
    memory = { namespace = var.name, metric = "MemoryUsed", threshold = 90, missing = "breaching", what = "more than 90 % of the memory is used, or the machine is silent" }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-host-${each.key}"
  alarm_description   = each.value.what
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = { InstanceId = aws_instance.this.id }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = 3
  treat_missing_data  = each.value.missing
  alarm_actions       = [local.base.alarm_topic_arn]
  ok_actions          = [local.base.alarm_topic_arn]
}
