# make run     builds the library, runs the README's program, and a longer one on a JSON file
# make example-hello, example-c, example-events, example-cpp, example-go, example-love2d, example-lua, example-node,
# make example-python, example-scale
#              builds the library and runs that example; tests/languages/examples.rs runs all of them
# make check   formatting, lints and unit tests: what a change needs before anything else
# make audit   looks the dependencies up in RustSec's database of known faults; make check does where it can be fetched
# make test    proves all of it: formatting, lints, the Rust and C tests, the examples
# make header  accepts a changed interface: include/arawn.h, docs/reference.md and tests/golden
# make book    builds the book of docs/ into target/book
# make counts  accepts what a warm call takes now: tests/golden/warm_call.txt
# make guests  builds the runtimes in other languages than Rust, which the tests run
# make profile renews what the compiler knows of warm calls: see profile/train.py
# make slim    builds a small library without compiler, components, HTTP and schemas, and prints its size
# make program builds the program `arawn`, TARGET=x86_64-unknown-linux-musl as one static file: target/program/…/release/arawn
# make wheel   builds the Python package with the library in it into target/wheel, for each Linux with glibc 2.28 or newer
# make npm     packs what `npm install` takes into target/npm, for each Linux with glibc 2.28 or newer
# make install puts it where compilers look for it: see packaging/install.mk
# make dist    makes a release archive of it below target/dist, and make deb Debian packages: see packaging/dist.mk
# make build-platforms, verify-platforms-run, platform-packages
#              builds libraries for musl and for 64-bit ARM, tries them here, and packs them: see packaging/platforms.mk
# make bench   measures
# make bench-peers measures libarawn beside Extism, wasmtime's C interface and a process: see benches/peers.sh
# make bench-bindings measures a call from each language, and how long pip and npm take to a first reply
# make fuzz    looks for inputs that break a promise, FUZZ_SECONDS for each of TARGETS: see docs/security.md
# make soak    makes every kind of call for SOAK_SECONDS, and draws what the process takes: target/soak.svg
# make processes
#              runs processes that share a catalog and a cache: KILLS are killed, PROCESSES_SECONDS side by side; as root, for a full disk
# make faults  has each FAULTS_STRIDE-th system call and large allocation of the library fail; 1 is every one
# make sanitizers runs the C and C++ programs of the tests under the sanitizers and memcheck
# make verify  proves what takes too long for make test, one part after the other, and prints their seconds
# make verify-mutants
#              breaks the checks behind docs/security.md one at a time, and names those whose tests do not notice
# make verify-platforms proves what takes systems of their own: see packaging/dist.mk
CC ?= cc
CXX ?= c++
CARGO ?= cargo
GO ?= go
NODE ?= node
NPM ?= npm
PYTHON ?= python3
LIB := target/release
SLIM := target/slim
# Without the crate type that Rust programs take: where that is made too, cargo optimizes nothing across crates.
LIBRARY = CARGO='$(CARGO)' packaging/remap-paths $(CARGO) rustc --locked --lib --crate-type cdylib,staticlib
# The profile says so too, but cargo forgets it for a package that has an optimization level of its own.
STRIP = -- -C strip=symbols
# Which branches warm calls take, for the compiler. It fits the Rust that it was made with; another one takes it for nothing.
PROFILE := profile/warm_calls.profdata
PROFILED := -C profile-use=$(PROFILE) -C llvm-args=-no-pgo-warn-mismatch
COUNTED = RUSTFLAGS='$(RUSTFLAGS) -Cprofile-generate'
# The same for Rust programs would not be optimized across crates, and has a directory of its own.
PROGRAMS := target/program
# `rustup component add llvm-tools`, or any LLVM's.
PROFDATA ?= $(firstword $(wildcard $(shell rustc --print sysroot)/lib/rustlib/*/bin/llvm-profdata) llvm-profdata)

EXAMPLES := example-hello example-c example-events example-cpp example-go example-love2d example-lua example-node example-python \
	example-scale

.PHONY: all slim program run $(EXAMPLES) node-modules scale-modules npm check test lint deny audit header layers book counts profile bench bench-bindings bench-quick bench-tenants \
	bench-peers fuzz soak faults processes sanitizers verify verify-files verify-mutants guests builtins verify-builtins wheel clean tools

all: $(LIB)/libarawn.so.0

# Cargo knows best whether something changed. A library in another LIB is taken as it is.
.PHONY: target/release/libarawn.so
target/release/libarawn.so: | tools
	$(LIBRARY) --release $(STRIP) $(PROFILED)

# Programs ask for the name that has the ABI's number.
$(LIB)/libarawn.so.0: $(LIB)/libarawn.so
	ln -sf libarawn.so $@

slim: | tools
	$(LIBRARY) --profile slim --no-default-features --features pulley $(STRIP)
	ln -sf libarawn.so $(SLIM)/libarawn.so.0
	@stat -c '%n: %s bytes' $(SLIM)/libarawn.so

# The program `arawn`: target/program/release/arawn, or for musl, where it is one static file, target/program/TARGET/release/arawn.
program: | tools
	$(if $(TARGET),packaging/build-for --program $(INSTALL_TOOLS:%=--install) $(TARGET),\
		packaging/remap-paths $(CARGO) build --locked --release --package arawn-cli --bin arawn --target-dir $(PROGRAMS))

target/example-c: examples/c/main.c include/arawn.h $(LIB)/libarawn.so.0
	$(CC) -std=c99 -pedantic -Wall -Wextra -Werror -O2 -Iinclude -o $@ $< -L$(LIB) -larawn -Wl,-rpath,'$$ORIGIN/release'

run: $(LIB)/hello target/example-c
	$(LIB)/hello
	target/example-c examples/c/document.json

# An example's first line: the tool that it takes and the package that has it.
needs = @command -v $(1) >/dev/null || { echo "$(1) is missing: apt install $(2), or your system's like" >&2; exit 1; }

# Programs beside the library find it there.
RPATH := -Wl,-rpath,'$$ORIGIN'

$(LIB)/hello: examples/c/hello.c include/arawn.h $(LIB)/libarawn.so.0
	$(CC) -std=c99 -pedantic -Wall -Wextra -Werror -O2 -Iinclude -o $@ $< -L$(LIB) -larawn $(RPATH)

$(LIB)/story-c: examples/c/story.c include/arawn.h $(LIB)/libarawn.so.0
	$(CC) -std=c99 -pedantic -Wall -Wextra -Werror -O2 -Iinclude -o $@ $< -L$(LIB) -larawn $(RPATH)

# epoll and timerfd are Linux's.
$(LIB)/events: examples/c/events.c include/arawn.h $(LIB)/libarawn.so.0
	$(CC) -std=c99 -pedantic -Wall -Wextra -Werror -O2 -Iinclude -o $@ $< -L$(LIB) -larawn $(RPATH)

$(LIB)/story-cpp: examples/cpp/main.cpp include/arawn.h include/arawn.hpp $(LIB)/libarawn.so.0
	$(call needs,$(CXX),g++)
	$(CXX) -std=c++17 -pedantic -Wall -Wextra -Werror -O2 -Iinclude -o $@ $< -L$(LIB) -larawn $(RPATH)

example-hello: $(LIB)/hello
	$<

example-c: $(LIB)/story-c
	$<

example-events: $(LIB)/events
	$<

example-cpp: $(LIB)/story-cpp
	$<

example-love2d: $(LIB)/libarawn.so.0
	$(call needs,love,love)
	ARAWN_LIBRARY=$< love examples/love2d

example-lua: $(LIB)/libarawn.so.0
	$(call needs,luajit,luajit)
	ARAWN_LIBRARY=$< luajit examples/love2d/story.lua

example-python: $(LIB)/libarawn.so.0
	$(call needs,$(PYTHON),python3)
	ARAWN_LIBRARY=$< PYTHONPATH=bindings/python $(PYTHON) examples/python/main.py

# Go's own cache knows best whether something changed.
example-go: $(LIB)/libarawn.so.0
	$(call needs,$(GO),golang-go)
	cd examples/go && CGO_CFLAGS='-I$(CURDIR)/include' CGO_LDFLAGS='-L$(abspath $(LIB)) -Wl,-rpath,$$ORIGIN' \
		$(GO) build -buildvcs=false -o '$(abspath $(LIB))/story-go' .
	$(LIB)/story-go

example-node: $(LIB)/libarawn.so.0 node-modules
	$(call needs,$(NODE),nodejs npm)
	ARAWN_LIBRARY='$(abspath $<)' $(NODE) examples/node/main.js

# What the lock files say, and no script of a package is run; and the add-on of the package, built here.
node-modules: bindings/node/node_modules/.package-lock.json examples/node/node_modules/.package-lock.json \
	bindings/node/build/arawn.node

%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	$(call needs,$(NPM),nodejs npm)
	cd $* && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel error >&2
	touch $@

bindings/node/build/arawn.node: $(wildcard bindings/node/native/*)
	$(call needs,$(NODE),nodejs npm)
	CC='$(CC)' NODE='$(NODE)' CFLAGS=-Werror bindings/node/native/build.sh $@

# Pipelines on BullMQ. It starts Redis and workers itself.
example-scale: $(LIB)/libarawn.so.0 scale-modules
	$(call needs,$(NODE),nodejs npm)
	$(call needs,redis-server,redis-server)
	ARAWN_LIBRARY='$(abspath $<)' $(NODE) examples/scale/main.js

scale-modules: node-modules scale/bullmq/node_modules/.package-lock.json examples/scale/node_modules/.package-lock.json

# The packages that `npm install` takes, into PACKED. See bindings/node/pack.mjs. The library and the add-on are linked for GLIBC;
# SHARED names a library for this system that is packed as it is, with an add-on that $(CC) links for this system.
PACKED ?= target/npm
npm: $(or $(SHARED),$(LIB)/libarawn.so.0 | target/tools/zig/bin/python)
	$(call needs,$(NPM),nodejs npm)
	$(call needs,$(PYTHON),python3)
	rm -f '$(PACKED)'/arawn-*.tgz
	$(if $(SHARED),PYTHON='$(PYTHON)' CC='$(CC)' $(NODE) bindings/node/pack.mjs '$(SHARED)' '$(PACKED)',$(npm_for_glibc))

OWN_TARGET = $(MACHINE)-unknown-linux-gnu
define npm_for_glibc
TARGET=$(OWN_TARGET) ZIG='$(ZIG)' CC='$(CC)' packaging/link-for-glibc $(GLIBC) $(LIB)/libarawn.a '$(PACKED)/libarawn.so'
PYTHON='$(PYTHON)' CC='$(call platform_cc,$(OWN_TARGET))' $(NODE) bindings/node/pack.mjs '$(PACKED)/libarawn.so' '$(PACKED)' $(OWN_TARGET)
endef

test: lint run guests slim
	ARAWN_RELEASE_LIBRARY=$(LIB)/libarawn.so ARAWN_SLIM_LIBRARY=$(SLIM)/libarawn.so \
	$(CARGO) test --locked --workspace --no-fail-fast
	cd runtimes && $(CARGO) test --locked
	cd runtimes/prebuilt && sha256sum --check --quiet SHA256SUMS

# One build's worth of `lint`.
check: deny | tools
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --lib

lint: deny | tools
	$(CARGO) fmt --check
	cd runtimes && $(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features -- -D warnings
	cd runtimes && $(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet

# What is linked: licences, sources, versions. deny.toml has the rules. Without optimizations it is built in a fifth of the time.
DENY = $(or $(shell command -v cargo-deny),target/tools/bin/cargo-deny)
# What is known to be faulty, too, where RustSec's database can be fetched.
FETCH_SECONDS = 20
deny: | tools
	@command -v '$(DENY)' >/dev/null || $(CARGO) install cargo-deny --version 0.20.2 --locked --debug --root target/tools
	$(CARGO) fetch --locked --quiet && cd runtimes && $(CARGO) fetch --locked --quiet
	'$(DENY)' --offline --workspace --log-level warn check --hide-inclusion-graph bans licenses sources
	'$(DENY)' --offline --workspace --log-level warn --manifest-path runtimes/Cargo.toml --config deny.toml check \
		--hide-inclusion-graph --allow unmatched-skip --allow license-not-encountered --allow unnecessary-skip --allow license-exception-not-encountered bans licenses sources
	@if said=$$(GIT_TERMINAL_PROMPT=0 timeout $(FETCH_SECONDS) '$(DENY)' --workspace fetch db 2>&1); then \
		$(call advisories,--offline); \
	else \
		echo "skipped: known faults of dependencies (advisories). RustSec's database cannot be fetched:"; \
		echo "$${said:-no answer within $(FETCH_SECONDS) s}" | tail -n 1; \
	fi

# Known faults of dependencies, by RustSec's database. $(1) is --offline where that has been fetched.
advisories = '$(DENY)' $(1) --workspace --log-level warn check --hide-inclusion-graph advisories && \
	'$(DENY)' $(1) --workspace --log-level warn --manifest-path runtimes/Cargo.toml --config deny.toml \
		check --hide-inclusion-graph advisories

# Fails where the database cannot be fetched.
audit: | tools
	@command -v '$(DENY)' >/dev/null || $(CARGO) install cargo-deny --version 0.20.2 --locked --debug --root target/tools
	$(call advisories,)

header: | tools
	ARAWN_ACCEPT=1 $(CARGO) test --locked --test header

layers: | tools
	ARAWN_ACCEPT=1 $(CARGO) test --locked --test layers

# From target/book, links that lead out of docs/ go one directory further up, to Markdown. Of its own pages, mdBook names
# README.md index.html.
MDBOOK = $(or $(shell command -v mdbook),target/tools/bin/mdbook)
book:
	@command -v '$(MDBOOK)' >/dev/null || $(CARGO) install mdbook --locked --root target/tools
	$(MDBOOK) build docs
	sed -i -E 's|href="\.\./|&../|g; s|(href="\.\./\.\./[^"#]*)\.html|\1.md|g' target/book/*.html
	sed -i -E 's|href="\.\./\.\./|&../|g; s|(href="\.\./\.\./\.\./[^"#]*)\.html|\1.md|g' target/book/*/*.html
	sed -i -E 's|(href="[^"#]*)README\.html|\1index.html|g' target/book/*.html target/book/*/*.html

counts: $(LIB)/libarawn.so.0
	ARAWN_ACCEPT=1 ARAWN_RELEASE_LIBRARY=$(LIB)/libarawn.so $(CARGO) test --locked --test warm_call

# What is counted while it compiles is not kept, nor what the first run counts, which fills the cache.
profile: TRAIN = ARAWN_LIBRARY=target/profile/release/libarawn.so $(PYTHON) profile/train.py
profile: | tools
	$(call needs,$(PYTHON),python3)
	$(call needs,$(PROFDATA),llvm)
	LLVM_PROFILE_FILE=/dev/null $(COUNTED) $(LIBRARY) --release --target-dir target/profile $(STRIP)
	rm -rf target/profile/work target/profile/counts
	LLVM_PROFILE_FILE=/dev/null $(TRAIN)
	LLVM_PROFILE_FILE=target/profile/counts/%p.profraw $(TRAIN)
	$(PROFDATA) merge --sparse -o $(PROFILE) target/profile/counts

# In a directory of its own: the benches take the library as a Rust program does, and cargo would put that one into $(LIB).
BENCH = $(CARGO) bench --locked --target-dir target/bench

bench: export ARAWN_BENCH_LIBRARY = $(abspath $(LIB))/libarawn.so.0
bench: $(LIB)/libarawn.so.0 slim guests
	$(BENCH) --bench table -- --save
	$(BENCH) --bench calls
	$(BENCH) --bench guests
	$(MAKE) bench-bindings

bench-tenants: $(LIB)/libarawn.so.0
	$(call needs,$(PYTHON),python3)
	ARAWN_LIBRARY=$< $(PYTHON) benches/tenants.py

bench-peers: $(LIB)/libarawn.so.0
	$(call needs,$(PYTHON),python3 python3-venv)
	ARAWN_LIBRARY='$(abspath $<)' CC='$(CC)' PYTHON='$(PYTHON)' benches/peers.sh

bench-bindings: $(LIB)/libarawn.so.0 node-modules wheel npm
	$(call needs,$(GO),golang-go)
	$(call needs,luajit,luajit)
	$(CC) -std=c99 -pedantic -Wall -Wextra -Werror -O2 -D_POSIX_C_SOURCE=200809L -Iinclude -o $(LIB)/bench-c \
		benches/bindings/worker.c -L$(LIB) -larawn -Wl,-rpath,'$$ORIGIN'
	cd benches/bindings/go && CGO_CFLAGS='-I$(CURDIR)/include' CGO_LDFLAGS='-L$(abspath $(LIB)) -Wl,-rpath,$$ORIGIN' \
		$(GO) build -buildvcs=false -o '$(abspath $(LIB))/bench-go' .
	ARAWN_LIBRARY='$(abspath $<)' PYTHONPATH=bindings/python NODE='$(NODE)' \
		$(PYTHON) benches/bindings/bindings.py $(LIB) target/wheel '$(PACKED)'

# What has changed is compiled and measured within two minutes; what is of the library that ships is left out.
bench-quick: | tools
	ARAWN_BENCH_ROUNDS=100 $(BENCH) --profile quick --bench table

FUZZ_SECONDS ?= 60
TARGETS ?=

fuzz: | tools
	$(call needs,$(CXX),g++)
	fuzz/run.sh $(FUZZ_SECONDS) $(TARGETS)

# These run the library that ships.
TRY = ARAWN_RELEASE_LIBRARY=$(LIB)/libarawn.so $(CARGO) test --locked
SOAK_SECONDS ?= 60
SOAK_PICTURE ?= target/soak.svg
soak: $(LIB)/libarawn.so.0
	ARAWN_SOAK_SECONDS=$(SOAK_SECONDS) ARAWN_SOAK_PICTURE=$(SOAK_PICTURE) $(TRY) --test soak -- --ignored --nocapture for_a_time

FAULTS_STRIDE ?= 1
faults: $(LIB)/libarawn.so.0
	ARAWN_FAULTS_STRIDE=$(FAULTS_STRIDE) $(TRY) --test faults -- --nocapture

KILLS ?= 300
PROCESSES_SECONDS ?= 60
processes: $(LIB)/libarawn.so.0
	ARAWN_KILLS=$(KILLS) ARAWN_PROCESSES_SECONDS=$(PROCESSES_SECONDS) ARAWN_MUST_MOUNT=1 \
	$(TRY) --test processes -- --nocapture --test-threads 1

sanitizers: | tools
	$(CARGO) test --locked --test sanitizers --test cpp -- --nocapture

# What is linked, and what is known of that; the programs in C and C++ under the sanitizers and memcheck; each fuzz target for
# twenty seconds by libFuzzer, and for as long in watched children; two minutes of every kind of call; every fourth fault;
# processes that are killed, and processes side by side; the built-ins anew; what others have compiled; the mutants.
#
# One after the other, also for `make -j`: most parts take all processors, and their deadlines do not bear a second one beside.
VERIFY := deny sanitizers fuzz soak faults processes verify-builtins verify-files verify-mutants
verify: export FUZZ_SECONDS = 20
verify: export SOAK_SECONDS = 120
verify: export FAULTS_STRIDE = 4
verify:
	@begun=$$(date +%s); seconds=; status=0; \
	for part in $(VERIFY); do \
		echo "verify: $$part"; \
		start=$$(date +%s); \
		$(MAKE) --no-print-directory "$$part" || status=$$?; \
		seconds="$$seconds $$(($$(date +%s) - start)) $$part"; \
		[ $$status = 0 ] || { echo "verify: $$part failed" >&2; break; }; \
	done; \
	printf '%6d s  %s\n' $$seconds $$(($$(date +%s) - begun)) "in all"; \
	exit $$status

verify-files: $(LIB)/libarawn.so.0
	$(call needs,$(PYTHON),python3)
	ARAWN_LIBRARY=$(LIB)/libarawn.so.0 $(PYTHON) tests/verify/real_files.py target/real-files

verify-mutants: | tools
	$(call needs,$(PYTHON),python3)
	CARGO='$(CARGO)' $(PYTHON) tests/verify/mutants.py

guests:
	runtimes/guests/build.sh

# The committed runtimes/prebuilt, which takes a toolchain of its own.
builtins:
	runtimes/build.sh

# They are built again, aside, and must have the same bytes.
verify-builtins:
	runtimes/build.sh --check

# The linker that knows older versions of glibc. It is set up aside, and has its name once all of it is there, so that
# make does not take the remains of a set-up that failed or was stopped for the whole.
ZIG = target/tools/zig/bin/python -m ziglang
target/tools/zig/bin/python:
	$(call needs,$(PYTHON),python3 python3-venv)
	rm -rf target/tools/zig target/tools/zig.part
	$(PYTHON) -m venv target/tools/zig.part
	target/tools/zig.part/bin/python -m pip install --quiet --disable-pip-version-check ziglang==0.17.1
	mv target/tools/zig.part target/tools/zig

wheel: $(LIB)/libarawn.so.0 | target/tools/zig/bin/python
	$(call needs,readelf,binutils)
	ZIG='$(ZIG)' CC='$(CC)' packaging/link-for-glibc 2.28 $(LIB)/libarawn.a target/wheel/libarawn.so
	$(PYTHON) bindings/python/build_wheel.py --library target/wheel/libarawn.so --out target/wheel

# What is missing is installed where that needs no questions, and named where it does.
tools:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
	$(call needs,$(CC),build-essential)
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy

include packaging/install.mk
include packaging/platforms.mk
include packaging/dist.mk

clean:
	$(CARGO) clean
	cd runtimes && $(CARGO) clean
