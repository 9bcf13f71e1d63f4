# make build-platforms       builds the libraries of each of PLATFORMS, see packaging/build-for
# make verify-platforms-run  tries them here, by qemu and by musl's dynamic linker, see packaging/verify-platform. It takes the
#                            library of this system too, which it compares them with.
# make platform-packages     makes a wheel and a package for npm of each, below PACKAGES, and tries them as far as that takes nothing
#                            which is not there
# make verify-packages       makes them, and loads what is in them, see packaging/verify-packages
#
#   PLATFORMS      Rust's names of them
#   PACKAGES       the directory that has one for each platform
#   INSTALL_TOOLS  yes: what is missing is installed, as root on Debian
PLATFORMS ?= aarch64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-unknown-linux-musl
PACKAGES ?= target/platforms
INSTALL_TOOLS ?=
for_platform = $(or $(CARGO_TARGET_DIR),target)/$(1)/release/libarawn.so
# The add-on of Node.js takes a C compiler alone.
platform_cc = $(abspath target/tools/zig/bin/python) -m ziglang cc -target \
	$(firstword $(subst -, ,$(1)))-linux-$(lastword $(subst -, ,$(1)))$(if $(filter %-gnu,$(1)),.$(or $(GLIBC),2.28))

.PHONY: $(PLATFORMS:%=tools-for-%) build-platforms verify-platforms-run platform-packages \
	verify-packages $(PLATFORMS:%=build-for-%) $(PLATFORMS:%=verify-on-%) $(PLATFORMS:%=packages-for-%) $(PLATFORMS:%=verify-packages-for-%)

build-platforms: $(PLATFORMS:%=build-for-%)
verify-platforms-run: $(PLATFORMS:%=tools-for-%) $(PLATFORMS:%=verify-on-%)
platform-packages: $(PLATFORMS:%=packages-for-%)
verify-packages: $(PLATFORMS:%=tools-for-%) $(PLATFORMS:%=verify-packages-for-%)

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

# A new directory: packages of an earlier version are not published again.
$(PLATFORMS:%=packages-for-%): packages-for-%: build-for-%
	$(call needs,$(PYTHON),python3)
	$(call needs,readelf,binutils)
	$(call needs,$(NPM),nodejs npm)
	rm -rf '$(PACKAGES)/$*'
	$(PYTHON) bindings/python/build_wheel.py --target $* --library $(call for_platform,$*) --out '$(PACKAGES)/$*'
	PYTHON='$(PYTHON)' CC='$(call platform_cc,$*)' $(NODE) bindings/node/pack.mjs --alone $(call for_platform,$*) '$(PACKAGES)/$*' $*
	$(PYTHON) packaging/verify-packages --glibc $(GLIBC) $* '$(PACKAGES)/$*'/*

$(PLATFORMS:%=verify-packages-for-%): verify-packages-for-%: tools-for-% packages-for-%
	$(PYTHON) packaging/verify-packages --load always --glibc $(GLIBC) $* '$(PACKAGES)/$*'/*
