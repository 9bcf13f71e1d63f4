//go:build arawn_static && !arawn_bundled

package arawn

// The static library that is installed. The program needs no libarawn.so, and with -extldflags -static no library at all.

// #cgo pkg-config: arawn-static
import "C"
