package main

import "testing"

func TestAPersonIsGreeted(t *testing.T) {
	output, err := greet(config{}, context{Name: "Ada"})
	if output != "Hello, Ada!" || err != nil {
		t.Error(output, err)
	}
}

func TestNobodyIsAnError(t *testing.T) {
	_, err := greet(config{}, context{})
	if err == nil || err.Error() != "context.name is empty" {
		t.Error(err)
	}
}
