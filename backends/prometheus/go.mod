module example.invalid/signalbox/backends/prometheus

go 1.26

replace cloud.google.com/go => cloud.google.com/go v0.123.0

exclude (
	github.com/linode/linodego v1.0.0
	github.com/grpc-ecosystem/grpc-gateway v1.14.7
	google.golang.org/api v0.30.0
)
