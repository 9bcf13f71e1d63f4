//go:build !arawn_static && !arawn_bundled

package arawn

// The library that is installed, as pkg-config knows it.

// #cgo pkg-config: arawn
import "C"
