module csv

go 1.25
