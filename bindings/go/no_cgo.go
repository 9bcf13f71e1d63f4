//go:build !cgo

package arawn

// The name that is missing is what the compiler says where cgo is off, as it is without a C compiler and for another system
// than this one.
const _ = this_package_takes_cgo_set_CGO_ENABLED_to_1_and_CC_to_a_C_compiler
