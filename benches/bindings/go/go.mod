module bench

go 1.19

require libarawn/arawn v0.1.0

replace libarawn/arawn => ../../../bindings/go
