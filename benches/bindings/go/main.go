// For each line on stdin: the median of so many calls in microseconds, as JSON.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"sort"
	"strconv"
	"time"

	"arawn.dev/arawn"
)

func main() {
	executor, err := arawn.New(arawn.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer executor.Close()
	call := arawn.Call{
		Runtime: "passthrough",
		Config:  map[string]any{},
		Context: map[string]any{"name": "Ada", "count": 3},
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		calls, err := strconv.Atoi(lines.Text())
		if err != nil {
			log.Fatal(err)
		}
		times := make([]float64, calls)
		for i := range times {
			begun := time.Now()
			if _, err := executor.Execute(context.Background(), call); err != nil {
				log.Fatal(err)
			}
			times[i] = float64(time.Since(begun).Nanoseconds()) / 1e3
		}
		sort.Float64s(times)
		fmt.Printf("{\"execute\": %.3f}\n", times[calls/2])
	}
}
