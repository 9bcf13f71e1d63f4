module example

go 1.19

require arawn.dev/arawn v0.1.0

replace arawn.dev/arawn => ../../bindings/go
