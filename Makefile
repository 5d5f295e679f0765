SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: demo test differential wasm oci bench lint help

demo: wasm ## build all, start Envoy with envoy/envoy.yaml, send sample requests, serve until interrupted
	cargo build --locked --bin mdrm
	envoy/demo.sh

# The module of the tests comes first: it is built in the same place, and what is built last is up to date afterwards.
test: differential wasm ## all tests: native, and in a real Envoy
	ENVOY=$$(envoy/fetch-envoy.sh) && export ENVOY MDRM_WASM="$(CURDIR)/target/mdrm_authz.wasm" && \
	export MDRM_WASM_DIFFERENTIAL="$(CURDIR)/target/mdrm_authz_differential.wasm" && \
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked && cargo test --locked --doc; \
	else \
		cargo test --locked; \
	fi
	DEMO_ONCE=1 $(MAKE) demo

differential:
	envoy/build-wasm.sh differential

wasm: ## build the filter: target/mdrm_authz.wasm
	envoy/build-wasm.sh

oci: wasm ## the filter as an image for Istio and Envoy Gateway: target/oci, an OCI layout
	envoy/oci.py target/mdrm_authz.wasm "$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" target/oci

# The load generator does without LTO. Benchmarks are always built to unwind: with `abort` for the rest, Cargo would build
# the library twice into the same file (rust-lang/cargo#6313).
bench: wasm ## CPU, latency and memory in Envoy (SUITES, BENCH_TURNS, BENCH_REQUESTS), keys, a simulated fleet: tests/bench/results
	ENVOY=$$(envoy/fetch-envoy.sh) && export ENVOY MDRM_WASM="$(CURDIR)/target/mdrm_authz.wasm" && \
	CARGO_PROFILE_RELEASE_PANIC=unwind CARGO_PROFILE_RELEASE_LTO=off cargo bench --locked --bench envoy -- $(SUITES)
	CARGO_PROFILE_RELEASE_PANIC=unwind CARGO_PROFILE_RELEASE_LTO=off cargo bench --locked --bench fleet --bench keys

lint: ## formatting, clippy on both targets, documentation, shell scripts, licences
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	envoy/build-wasm.sh clippy
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items
	@if command -v shellcheck >/dev/null; then shellcheck envoy/*.sh envoy/prometheus/*.sh envoy/wasm-ld .ci/run; else echo "shellcheck is not installed: skipped"; fi
# Not the advisories: their database is a download that not every network allows.
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --locked check --hide-inclusion-graph licenses bans sources; else echo "cargo-deny is not installed: skipped"; fi

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
