# make install puts the libraries, the headers and what finds them below PREFIX, and make uninstall takes them away.
#
#   PREFIX, LIBDIR, INCLUDEDIR   where they are used; LIBDIR may be lib/<triplet>, or lib64
#   DESTDIR                      what comes before all of these while a package is made
#   BUILT                        where the libraries are, if not where `make` puts them
#   LDCONFIG                     what tells the dynamic linker of a new library, if not ldconfig
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BUILT ?= $(LIB)
# Not on the path of every user.
LDCONFIG ?= $(firstword $(wildcard /sbin/ldconfig /usr/sbin/ldconfig) ldconfig)

from_manifest = $(shell sed -n 's/^$(1) = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
VERSION := $(call from_manifest,version)
# As in build.rs.
ABI := $(firstword $(subst ., ,$(VERSION)))
HEADERS := $(notdir $(wildcard include/*.h include/*.hpp))
PKGCONFIG := arawn.pc arawn-static.pc
CMAKE := arawn-config.cmake arawn-config-version.cmake

lib = $(DESTDIR)$(LIBDIR)
include = $(DESTDIR)$(INCLUDEDIR)
below_prefix = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))
# A package of CMake's may be moved with all that it belongs to, unless that is not below one directory.
includedir_from_libdir = $(if $(filter $(PREFIX)/%,$(LIBDIR)),$(if $(filter $(PREFIX)/%,$(INCLUDEDIR)),$(shell \
	realpath -m --relative-to='$(LIBDIR)' '$(INCLUDEDIR)'),$(INCLUDEDIR)),$(INCLUDEDIR))
# rustc's own list: a test compares the two.
system_libraries = $(shell cat tests/golden/link.txt)
# A C compiler adds the unwinder by itself, libgcc_s to a program that loads libraries and libgcc_eh to a static one. Naming the
# first would keep the second from being linked.
linked_with_static = $(filter-out -lgcc_s,$(system_libraries))
fill = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(call below_prefix,$(LIBDIR))|' \
	-e 's|@INCLUDEDIR@|$(call below_prefix,$(INCLUDEDIR))|' \
	-e 's|@INCLUDEDIR_FROM_LIBDIR@|$(includedir_from_libdir)|' \
	-e 's|@LINKED_WITH_STATIC@|$(linked_with_static)|' \
	-e 's|@DESCRIPTION@|$(call from_manifest,description)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@ABI@|$(ABI)|'

.PHONY: install uninstall

# What `make` has built is installed as it is: root, who installs, need not be who builds.
install:
	$(foreach path,$(PREFIX) $(LIBDIR) $(INCLUDEDIR),$(if $(filter /%,$(path)),,$(error $(path) is no absolute path)))
	@test -e '$(BUILT)/libarawn.so' -a -e '$(BUILT)/libarawn.a' || $(MAKE) all
	install -d '$(lib)/pkgconfig' '$(lib)/cmake/arawn' '$(include)'
	install -m 755 '$(BUILT)/libarawn.so' '$(lib)/libarawn.so.$(VERSION)'
	ln -sf libarawn.so.$(VERSION) '$(lib)/libarawn.so.$(ABI)'
	ln -sf libarawn.so.$(ABI) '$(lib)/libarawn.so'
	install -m 644 '$(BUILT)/libarawn.a' '$(lib)/libarawn.a'
	install -m 644 $(HEADERS:%=include/%) '$(include)'
	for file in $(PKGCONFIG); do $(fill) packaging/$$file.in >'$(lib)'/pkgconfig/$$file || exit 1; done
	for file in $(CMAKE); do $(fill) packaging/$$file.in >'$(lib)'/cmake/arawn/$$file || exit 1; done
	$(if $(DESTDIR),,@LDCONFIG='$(LDCONFIG)' packaging/tell-linker '$(LIBDIR)' libarawn.so.$(ABI))

uninstall:
	rm -f $(patsubst %,'$(lib)'/%,libarawn.so libarawn.so.$(ABI) libarawn.so.$(VERSION) libarawn.a $(PKGCONFIG:%=pkgconfig/%))
	rm -rf '$(lib)/cmake/arawn'
	rm -f $(HEADERS:%='$(include)'/%)
