// A shop and an order: an executor, transform on a document, a runtime that asks a function of the host, a script that
// asks it too, an edit of the script that does not parse, a call that does not block, one that is cancelled, an error,
// and the end of it all. The package arawn is the binding, in bindings/go.
//
//	make example-go
//
// It prints:
//
//	transform: {"to":"Zoë Ångström","city":"Malmö","total":108.25,"tracking":9007199254740993}
//	stock: {"order":"2026-004711","missing":[{"sku":"CUP-0113","pieces":1}]}
//	levels: [7,1,3]
//	edit: script_invalid, line 2, column 10
//	later: {"order":"2026-004711","missing":[]}
//	never: cancelled
//	runtime_error: expression: context.customer has no key "adress" (it has: address, email, name)
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"arawn.dev/arawn"
)

// levels is a script in JavaScript, which asks for the pieces of each article.
const levels = `export default ({ context }) => {
  return context.items.map(({ sku }) => arawn.call("stock.level", { sku }));
}
`

// stock is what the shop has. The library's threads ask for it, several at once, so that it takes a lock.
type stock struct {
	sync.Mutex
	pieces map[string]int
	asked  int
}

// level is the host function: what it returns, and its error, reaches the guest.
func (s *stock) level(request json.RawMessage) (any, error) {
	var item struct{ SKU string }
	if err := json.Unmarshal(request, &item); err != nil {
		return nil, err
	}
	s.Lock()
	defer s.Unlock()
	s.asked++
	pieces, ok := s.pieces[item.SKU]
	if !ok {
		return nil, fmt.Errorf("nobody sells %q here", item.SKU)
	}
	return pieces, nil
}

func (s *stock) set(sku string, pieces int) {
	s.Lock()
	defer s.Unlock()
	s.pieces[sku], s.asked = pieces, 0
}

// waitUntilAsked goes on with other work while a job is under way, until it has asked some times.
func (s *stock) waitUntilAsked(job *arawn.Job) error {
	for {
		select {
		case <-job.Done():
			return errors.New("it should not have ended")
		case <-time.After(time.Millisecond):
		}
		s.Lock()
		asked := s.asked
		s.Unlock()
		if asked >= 3 {
			return nil
		}
	}
}

func main() {
	log.SetFlags(0)
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	order, err := os.ReadFile("examples/c/document.json")
	if err != nil {
		return err
	}
	stock := &stock{pieces: map[string]int{"TEA-0042": 7, "POT-0007": 1, "CUP-0113": 3}}

	// An executor is a policy: where its runtimes are, what a call may take, and which functions guests may call.
	shop, err := arawn.New(arawn.Config{
		RuntimesDir:   "target/example-go-runtimes",
		Limits:        arawn.Limits{TimeoutMS: 10_000},
		HostFunctions: map[string]arawn.HostFunction{"stock.level": stock.level},
	})
	if err != nil {
		return err
	}
	defer shop.Close()

	// transform comes with the library. Here it picks from the order, which reaches it with every digit it has.
	mappings := json.RawMessage(`{"to": "customer.name", "city": "customer.address.city", "total": "total",
		"tracking": "tracking_number"}`)
	output, err := shop.Execute(ctx, arawn.Call{
		Runtime: "transform",
		Config:  map[string]any{"mappings": mappings},
		Context: json.RawMessage(order),
	})
	if err != nil {
		return err
	}
	fmt.Println("transform:", string(output))

	// stock is put into the catalog. It asks this program, on the thread that runs the call.
	_, err = shop.Register(ctx, arawn.Registration{Name: "stock", Path: "runtimes/prebuilt/stock.wasm", Replace: true})
	if err != nil {
		return err
	}
	call := arawn.Call{Runtime: "stock", Context: json.RawMessage(order)}
	if output, err = shop.Execute(ctx, call); err != nil {
		return err
	}
	fmt.Println("stock:", string(output))

	// A script is registered as its text: there is nothing to build.
	script := arawn.Registration{Name: "levels", Script: levels, Language: arawn.JavaScript, Replace: true}
	if _, err = shop.Register(ctx, script); err != nil {
		return err
	}
	if output, err = shop.Execute(ctx, arawn.Call{Runtime: "levels", Context: json.RawMessage(order)}); err != nil {
		return err
	}
	fmt.Println("levels:", string(output))

	// An edit that does not parse is refused with its place, and the version before it stays.
	script.Script = strings.Replace(levels, "return", "retrun", 1)
	var failure *arawn.Error
	if _, err = shop.Register(ctx, script); !errors.As(err, &failure) {
		return fmt.Errorf("not the error of a script: %w", err)
	}
	var place struct{ Line, Column int }
	if err = json.Unmarshal(failure.Details, &place); err != nil {
		return err
	}
	fmt.Printf("edit: %s, line %d, column %d\n", failure.Code, place.Line, place.Column)

	// Without blocking: it asks again until nothing is missing.
	call.Config = map[string]bool{"wait": true}
	stock.set("CUP-0113", 3)
	later, err := shop.Submit(ctx, call)
	if err != nil {
		return err
	}
	if err = stock.waitUntilAsked(later); err != nil {
		return err
	}
	stock.set("CUP-0113", 4) // A delivery.
	if output, err = later.Result(); err != nil {
		return err
	}
	fmt.Println("later:", string(output))

	// Nobody brings more tea: this one would wait until its deadline. A call ends when its context does.
	stock.set("TEA-0042", 0)
	impatient, giveUp := context.WithCancel(ctx)
	defer giveUp()
	never, err := shop.Submit(impatient, call)
	if err != nil {
		return err
	}
	if err = stock.waitUntilAsked(never); err != nil {
		return err
	}
	giveUp()
	if _, err = never.Result(); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("not cancelled: %w", err)
	}
	fmt.Println("never: cancelled")

	// What is wrong is an error: a text for people, and a code for programs.
	_, err = shop.Execute(ctx, arawn.Call{
		Runtime: "transform",
		Config:  map[string]string{"expression": "customer.adress"},
		Context: json.RawMessage(order),
	})
	if !errors.As(err, &failure) || failure.Code != "runtime_error" {
		return fmt.Errorf("not the error of a runtime: %w", err)
	}
	fmt.Println(failure)

	// When this returns no guest asks any more.
	return shop.Close()
}
