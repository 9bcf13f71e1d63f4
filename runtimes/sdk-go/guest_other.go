//go:build !wasip1

package arawn

// ask answers for a program that runs on the machine that builds it.
func ask(string, string) []byte {
	return []byte(`{"status":"error","error":"there is no libarawn around this process"}`)
}
