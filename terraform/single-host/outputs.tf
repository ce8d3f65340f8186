# What runtime/ (attach_single_host) and people need.

output "url" {
  description = "The app; Grafana is at URL/grafana/."
  value       = local.root_url
}

output "instance_id" {
  description = "For `aws ssm start-session --target ID`, and `aws ec2 stop-instances`."
  value       = aws_instance.this.id
}

output "host" {
  description = "For runtime/: where the host is inside the VPC, and its security group."
  value       = { private_ip = aws_instance.this.private_ip, security_group_id = aws_security_group.this.id }
}
