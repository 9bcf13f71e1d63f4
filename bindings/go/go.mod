module arawn.dev/arawn

go 1.19
