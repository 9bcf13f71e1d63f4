module libarawn/arawn

go 1.19
