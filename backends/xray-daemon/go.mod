module example.invalid/signalbox/backends/xray-daemon

go 1.26
