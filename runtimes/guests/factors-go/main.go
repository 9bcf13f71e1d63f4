// Command factors breaks context.number up into primes. Where there is none it reads it from the file config.file, takes the
// variable NUMBER, or asks the host function factors.number: what there is first.
package main

import (
	"errors"
	"os"
	"strconv"
	"strings"

	arawn "example.com/libarawn/runtimes/sdk-go"
)

type config struct {
	File string `json:"file"`
}

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

func parsed(text string) (uint32, error) {
	number, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	return uint32(number), err
}

func number(config config, context context) (uint32, error) {
	if context.Number != nil {
		return *context.Number, nil
	}
	if config.File != "" {
		text, err := os.ReadFile(config.File)
		if err != nil {
			return 0, err
		}
		return parsed(string(text))
	}
	if text, isSet := os.LookupEnv("NUMBER"); isSet {
		return parsed(text)
	}
	return arawn.Call[uint32]("factors.number", nil)
}

func factors(config config, context context) (output, error) {
	calls++
	number, err := number(config, context)
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
