module example.com/libarawn/runtimes/sdk-go

go 1.24
