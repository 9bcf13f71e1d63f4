module example.com/runtime

go 1.24

require example.com/libarawn/runtimes/sdk-go v0.0.0

replace example.com/libarawn/runtimes/sdk-go => ./arawn-sdk
