//go:build arawn_bundled

package arawn

// The static library that released modules have in them, beside the header: `make dist` puts both there. They are for
// systems with glibc.

/*
#cgo CFLAGS: -I${SRCDIR}
#cgo linux,amd64 LDFLAGS: ${SRCDIR}/libarawn_linux_amd64.a
#cgo linux,arm64 LDFLAGS: ${SRCDIR}/libarawn_linux_arm64.a
#cgo linux,riscv64 LDFLAGS: ${SRCDIR}/libarawn_linux_riscv64.a
#cgo linux,s390x LDFLAGS: ${SRCDIR}/libarawn_linux_s390x.a
#cgo LDFLAGS: -lutil -lrt -lpthread -lm -ldl
*/
import "C"
