module example.invalid/signalbox/backends/xray-daemon

go 1.26.0

tool github.com/aws/aws-xray-daemon/daemon

require (
	github.com/aws/aws-sdk-go v1.55.8 // indirect
	github.com/aws/aws-xray-daemon v3.0.1+incompatible // indirect
	github.com/cihub/seelog v0.0.0-20170130134532-f561c5e57575 // indirect
	github.com/go-ole/go-ole v1.2.6 // indirect
	github.com/jmespath/go-jmespath v0.4.0 // indirect
	github.com/shirou/gopsutil v3.21.11+incompatible // indirect
	github.com/yusufpapurcu/wmi v1.2.4 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	gopkg.in/yaml.v2 v2.4.0 // indirect
)
