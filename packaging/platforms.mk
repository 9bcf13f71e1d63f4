# make build-platforms       builds the libraries of each of PLATFORMS, see packaging/build-for
# make verify-platforms-run  tries them here, by qemu and by musl's dynamic linker, see packaging/verify-platform. It takes the
#                            library of this system too, which it compares them with.
# make platform-packages     makes a wheel and a package for npm of each, in WHEELS and in PACKED
#
#   PLATFORMS      Rust's names of them
#   INSTALL_TOOLS  yes: what is missing is installed, as root on Debian
PLATFORMS ?= aarch64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-unknown-linux-musl
WHEELS ?= target/wheel
INSTALL_TOOLS ?=
for_platform = $(or $(CARGO_TARGET_DIR),target)/$(1)/release/libarawn.so
# The add-on of Node.js takes a C compiler alone.
platform_cc = $(abspath target/tools/zig/bin/python) -m ziglang cc -target \
	$(firstword $(subst -, ,$(1)))-linux-$(lastword $(subst -, ,$(1)))$(if $(filter %-gnu,$(1)),.$(or $(GLIBC),2.28))

.PHONY: $(PLATFORMS:%=tools-for-%) build-platforms verify-platforms-run platform-packages $(PLATFORMS:%=build-for-%) $(PLATFORMS:%=verify-on-%) $(PLATFORMS:%=packages-for-%)

build-platforms: $(PLATFORMS:%=build-for-%)
verify-platforms-run: $(PLATFORMS:%=tools-for-%) $(PLATFORMS:%=verify-on-%)
platform-packages: $(PLATFORMS:%=packages-for-%)

$(PLATFORMS:%=build-for-%): build-for-%: | target/tools/zig/bin/python
	packaging/build-for $(INSTALL_TOOLS:%=--install) $*

# Before the builds, which take long.
$(PLATFORMS:%=tools-for-%): tools-for-%:
	$(call needs,$(PYTHON),python3)
	$(PYTHON) packaging/verify-platform $(INSTALL_TOOLS:%=--install) $*

$(PLATFORMS:%=verify-on-%): verify-on-%: tools-for-% build-for-% $(LIB)/libarawn.so.0
	$(call needs,$(PYTHON),python3)
	$(call needs,readelf,binutils)
	$(PYTHON) packaging/verify-platform $(INSTALL_TOOLS:%=--install) --host $(LIB)/libarawn.so $* $(call for_platform,$*)

$(PLATFORMS:%=packages-for-%): packages-for-%: build-for-%
	$(call needs,readelf,binutils)
	$(call needs,$(NPM),nodejs npm)
	$(PYTHON) bindings/python/build_wheel.py --target $* --library $(call for_platform,$*) --out '$(WHEELS)'
	CC='$(call platform_cc,$*)' $(NODE) bindings/node/pack.mjs $(call for_platform,$*) '$(PACKED)' $*
