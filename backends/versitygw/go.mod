module example.invalid/signalbox/backends/versitygw

go 1.26
