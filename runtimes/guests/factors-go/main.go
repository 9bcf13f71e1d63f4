// Command factors breaks context.number up into primes. Where there is none it takes the variable NUMBER, and where that
// is not set it asks the host function factors.number.
package main

import (
	"errors"
	"os"
	"strconv"

	arawn "example.com/libarawn/runtimes/sdk-go"
)

type config struct{}

type context struct {
	Number *uint32 `json:"number"`
}

type output struct {
	Factors []uint32 `json:"factors"`
	// How many calls this instance has answered.
	Calls int `json:"calls"`
}

var (
	// Made once, before the snapshot: the primes below 65536.
	primes = sieve(1 << 16)
	calls  int
)

func sieve(end int) []uint32 {
	composite := make([]bool, end)
	var primes []uint32
	for n := 2; n < end; n++ {
		if composite[n] {
			continue
		}
		primes = append(primes, uint32(n))
		for multiple := n * n; multiple < end; multiple += n {
			composite[multiple] = true
		}
	}
	return primes
}

func number(context context) (uint32, error) {
	if context.Number != nil {
		return *context.Number, nil
	}
	if text, isSet := os.LookupEnv("NUMBER"); isSet {
		number, err := strconv.ParseUint(text, 10, 32)
		return uint32(number), err
	}
	return arawn.Call[uint32]("factors.number", nil)
}

func factors(_ config, context context) (output, error) {
	calls++
	number, err := number(context)
	if err != nil {
		return output{}, err
	}
	if number < 2 {
		return output{}, errors.New("a number below 2 has no prime factors")
	}
	found := []uint32{}
	for _, prime := range primes {
		for number%prime == 0 {
			found = append(found, prime)
			number /= prime
		}
	}
	if number > 1 {
		found = append(found, number)
	}
	return output{Factors: found, Calls: calls}, nil
}

func main() {
	arawn.Run(factors)
}
