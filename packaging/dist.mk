# make dist puts a release archive below DIST: headers, libraries, what finds them, licences and an SBOM.
#           Below DIST/go is the Go module with the library in it, as a module proxy serves it. It has the libraries of each
#           TARGET that `make dist` was run for, of this version and no older than its time.
# make deb  puts Debian packages there: libarawn0, libarawn-dev, and arawn where the program has been built.
# make verify-platforms  proves what takes systems of their own: see the targets that it names. The first of them names the
#           tools that are missing, and with INSTALL_TOOLS=yes installs them, as root on Debian.
#
#   TARGET           Rust's name of the platform, if not this one
#   DIST             where all of it goes
#   GLIBC            the oldest glibc that the shared library is to run with
#   SHARED           a shared library that is taken as it is, in place of one that is linked for GLIBC
#   PROGRAM          the program `arawn`, which the archive and a package of its own get where `make program` has built it
#   PROGRAM_TARGET   Rust's name of the platform of PROGRAM, where it is not that of the libraries: a static program is for musl
#   PROGRAM_HERE     the same for this machine, where PROGRAM is for another one: it writes the manual pages
#   DEB_MAINTAINER   who answers for the Debian packages
#
# The same inputs make the same bytes. The time in them is SOURCE_DATE_EPOCH, or the last commit's.
DIST ?= target/dist
GLIBC ?= 2.28
DEB_MAINTAINER ?= The libarawn maintainers <maintainers@libarawn.invalid>

platform = $(or $(TARGET),$(shell rustc --version --verbose | sed -n 's/^host: //p'))
RELEASED = $(if $(TARGET),target/$(TARGET)/release,$(LIB))
PROGRAM ?= $(wildcard $(PROGRAMS)/$(addsuffix /,$(TARGET))release/arawn)
MACHINE := $(shell uname -m)
PROGRAM_TARGET ?= $(or $(patsubst $(PROGRAMS)/%/release/arawn,%,$(filter $(PROGRAMS)/%/release/arawn,$(PROGRAM))),$(platform))
PROGRAM_HERE ?= $(firstword $(if $(TARGET),$(wildcard $(PROGRAMS)/release/arawn $(PROGRAMS)/$(MACHINE)-unknown-linux-musl/release/arawn)) \
	$(if $(filter $(MACHINE)-%,$(platform)),$(PROGRAM)))
NAME = libarawn-$(VERSION)-$(platform)
WORK = $(abspath $(DIST))/work-$(platform)
goarch = $(patsubst riscv64gc,riscv64,$(patsubst aarch64,arm64,$(patsubst x86_64,amd64,$(firstword $(subst -, ,$(platform))))))
# Outside of a checkout the time is that of the zip format's first second, as in the wheel.
DATED = SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 315532800)} PYTHON='$(PYTHON)'
# Of make install, which these recipes call with directories of their own.
staged = $(MAKE) --no-print-directory install BUILT='$(WORK)/lib' DESTDIR=$(1) PREFIX=$(2) LIBDIR=$(3) INCLUDEDIR=$(2)/include

.PHONY: dist deb dist-libraries dist-documents dist-program dist-archive dist-go cross-library verify-platforms verify-debian check-platforms tools-for-verify $(PLATFORMS:%=verify-dist-on-%)

cross-library: | tools target/tools/zig/bin/python
	$(if $(filter $(TARGET),$(PLATFORMS)),packaging/build-for $(INSTALL_TOOLS:%=--install) $(TARGET),\
		$(LIBRARY) --release --target $(TARGET) $(STRIP) $(PROFILED))

# A new directory: what an earlier version had in it is not released again.
dist-libraries: $(if $(TARGET),cross-library,$(LIB)/libarawn.so.0) $(if $(SHARED),,| target/tools/zig/bin/python)
	$(call needs,readelf,binutils)
	rm -rf '$(WORK)' && install -d '$(WORK)/lib'
	ln -s '$(abspath $(RELEASED)/libarawn.a)' '$(WORK)/lib'
	$(if $(SHARED),ln -s '$(abspath $(SHARED))' '$(WORK)/lib/libarawn.so',$(call link_shared,$(WORK)/lib))

# musl has no versions of symbols: what cargo has made runs with each, if it needs nothing but musl.
define link_shared
$(if $(filter %-linux-gnu,$(platform)),TARGET=$(platform) ZIG='$(abspath target/tools/zig/bin/python) -m ziglang' CC='$(CC)' \
	packaging/link-for-glibc $(GLIBC) '$(1)/libarawn.a' '$(1)/libarawn.so' && \
	$(PYTHON) packaging/dist/elf.py --target $(platform) --glibc $(GLIBC) '$(1)/libarawn.so',\
	ln -s '$(abspath $(RELEASED)/libarawn.so)' '$(1)' && \
	$(PYTHON) packaging/dist/elf.py --target $(platform) '$(1)/libarawn.so')
endef

dist-documents: dist-libraries
	$(call needs,$(PYTHON),python3)
	$(DATED) packaging/dist/documents $(platform) '$(WORK)/documents' '$(WORK)'/lib/libarawn.a '$(WORK)'/lib/libarawn.so

# What belongs to the program: manual pages, completions, licences and an SBOM.
dist-program: dist-documents
	$(if $(PROGRAM),$(program_documents))

# Both programs may be left from an earlier version. One for another processor cannot be asked.
define program_documents
$(if $(PROGRAM_HERE),,$(error The manual pages take a program for this machine: make program, or PROGRAM_HERE=...))
@said=$$('$(PROGRAM_HERE)' --version) && test "$$said" = 'arawn $(VERSION)' || \
	{ echo "$(PROGRAM_HERE) is not arawn $(VERSION): $$said. Build it with \`make program\`" >&2; exit 1; }
$(PYTHON) packaging/dist/elf.py --target $(platform) --program --text '$(VERSION)' '$(PROGRAM)'
rm -rf '$(WORK)/program' && install -d '$(WORK)/program'
'$(PROGRAM_HERE)' share '$(WORK)/program/share'
$(DATED) $(PYTHON) packaging/dist/sbom.py --program --target $(PROGRAM_TARGET) \
	--out '$(WORK)/program/sbom.cdx.json' '$(PROGRAM)'
$(PYTHON) packaging/dist/notices.py --target $(PROGRAM_TARGET) --package arawn --package arawn-cli \
	--out '$(WORK)/program/THIRD-PARTY-NOTICES.txt' '$(PROGRAM)'
endef

# The libraries of platforms without glibc would have the same names. Those of other versions are not released with this one.
GO_LIBRARIES = $(DIST)/go-libraries/$(VERSION)
dist-go: dist-documents
	install -d '$(GO_LIBRARIES)'
	$(if $(filter %-linux-gnu,$(platform)),cp '$(WORK)/lib/libarawn.a' '$(GO_LIBRARIES)/libarawn_linux_$(goarch).a')
	$(DATED) $(PYTHON) packaging/go/module.py --libraries '$(GO_LIBRARIES)' --out '$(DIST)/go' \
		--notices '$(WORK)/documents/THIRD-PARTY-NOTICES.txt'

dist: dist-archive dist-go

dist-archive: dist-program
	rm -rf '$(WORK)/$(NAME)'
	$(call staged,'$(WORK)',/$(NAME),/$(NAME)/lib)
	sed -i 's|^prefix=.*|prefix=$${pcfiledir}/../..|' '$(WORK)/$(NAME)'/lib/pkgconfig/*.pc
	install -d '$(WORK)/$(NAME)/share/doc/arawn'
	install -m 644 '$(WORK)'/documents/* '$(WORK)/$(NAME)/share/doc/arawn'
	sed -e 's|@VERSION@|$(VERSION)|' -e 's|@TARGET@|$(platform)|' packaging/dist/README.txt.in >'$(WORK)/$(NAME)/README.txt'
	$(if $(PROGRAM),$(program_of_archive))
	$(DATED) $(PYTHON) packaging/dist/archive.py '$(WORK)/$(NAME)' '$(DIST)/$(NAME).tar.gz'
	cp '$(WORK)/documents/sbom.cdx.json' '$(DIST)/$(NAME).cdx.json'
	$(sum_up)

define program_of_archive
install -D -m 755 '$(PROGRAM)' '$(WORK)/$(NAME)/bin/arawn'
cp -R '$(WORK)/program/share' '$(WORK)/$(NAME)'
install -d '$(WORK)/$(NAME)/share/doc/arawn/program'
install -m 644 '$(WORK)'/program/*.txt '$(WORK)'/program/*.json '$(WORK)/$(NAME)/share/doc/arawn/program'
sed "s|@NEEDS@|$$($(PYTHON) packaging/dist/elf.py '$(PROGRAM)')|" packaging/dist/README-program.txt.in >>'$(WORK)/$(NAME)/README.txt'
endef

deb: dist-program
	$(call needs,dpkg-deb,dpkg)
	rm -rf '$(WORK)/debian'
	$(call staged,'$(WORK)/debian',/usr,/usr/lib/$(subst -unknown-,-,$(platform:riscv64gc-%=riscv64-%)))
	$(DATED) $(PYTHON) packaging/debian/build.py --stage '$(WORK)/debian' --documents '$(WORK)/documents' \
		--target $(platform) --maintainer '$(DEB_MAINTAINER)' $(PROGRAM:%=--program '%' --program-documents '$(WORK)/program') --out '$(DIST)'
	$(sum_up)

sum_up = cd '$(DIST)' && find . -maxdepth 1 -name '*arawn*' -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS && \
	cat SHA256SUMS

# cgo asks pkg-config for a library that is not installed here. The recipes say where it is.
example-go bench-bindings: private export PKG_CONFIG_PATH = $(CURDIR)/packaging/uninstalled

# Each takes a system of its own, and some minutes. Add others as prerequisites, and the tools that they take to
# packaging/verify-tools, which runs before anything is built.
verify-platforms: tools-for-verify $(PLATFORMS:%=tools-for-%) verify-debian verify-platforms-run \
	verify-packages $(PLATFORMS:%=verify-dist-on-%) check-platforms

tools-for-verify:
	$(call needs,$(PYTHON),python3 python3-venv)
	PYTHON='$(PYTHON)' packaging/verify-tools $(INSTALL_TOOLS:%=--install) $(sort $(PLATFORMS) $(STATIC))

# The archive and the Go module of another platform, used by that platform's compiler and run as packaging/verify-platform does.
$(PLATFORMS:%=verify-dist-on-%): verify-dist-on-%: tools-for-% build-for-%
	$(call needs,pkg-config,pkg-config)
	rm -rf '$(DIST)/on-$*'
	$(MAKE) --no-print-directory dist TARGET=$* DIST='$(DIST)/on-$*' PROGRAM=
	$(PYTHON) packaging/verify-archive $* '$(DIST)/on-$*'

check-platforms: | target/tools/zig/bin/python
	ZIG='$(abspath target/tools/zig/bin/python) -m ziglang' packaging/check-platforms

# A root with nothing but the package manager, made once, and the packages installed into copies of it. The program is the
# static one, which runs in each of them.
STATIC = $(firstword $(subst -, ,$(platform)))-unknown-linux-musl
verify-debian: wheel
	$(MAKE) --no-print-directory program TARGET=$(STATIC)
	$(MAKE) --no-print-directory dist deb PROGRAM='$(PROGRAMS)/$(STATIC)/release/arawn'
	stat -c '%n: %s bytes' '$(PROGRAMS)/$(STATIC)/release/arawn' '$(DIST)'/*arawn*
	ARAWN_DIST='$(abspath $(DIST))' $(CARGO) test --locked --test debian_root -- --ignored --nocapture
