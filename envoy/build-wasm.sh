#!/usr/bin/env bash
# Builds the filter for wasm32-wasip1 and leaves the module at target/mdrm_authz.wasm, and beside it what compiled it.
#
#   envoy/build-wasm.sh           build
#   envoy/build-wasm.sh clippy    lint the code that only this target compiles
#   envoy/build-wasm.sh differential
#                                 build the test module that compares signature checks of host and VM:
#                                 target/mdrm_authz_differential.wasm
#   envoy/build-wasm.sh test-switches
#                                 build the test module that panics where a request asks for it, and leaves out
#                                 what the environment of its VM tells it to:
#                                 target/mdrm_authz_test_switches.wasm
#
# The target's standard library comes from the first of these that works:
#   1. the active Rust toolchain has it;
#   2. `rustup target add` fetches it;
#   3. Debian's own compiler builds it from Debian's sources (for networks that do not reach rustup's server).
# MDRM_WASM_TOOLCHAIN=debian takes the third at once.
#
# wasm-opt (Binaryen 108 or later) has the last word on a module where it is installed, and the build does without where it is
# not. MDRM_WASM_OPT=/path/to/wasm-opt takes another one, MDRM_WASM_OPT= none.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-wasip1
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
cargo_home=${CARGO_HOME:-$HOME/.cargo}
debian_packages=(rustc-web cargo-web rust-web-src rust-web-clippy lld-22 wasi-libc)

toolchain_has_target() {
  compgen -G "$(rustc --print target-libdir --target "$target" 2>/dev/null)/libstd-*.rlib" >/dev/null
}

rustup_adds_target() {
  command -v rustup >/dev/null && rustup target add "$target" >&2 && toolchain_has_target
}

debian_has_packages() {
  dpkg-query --show --showformat '${db:Status-Status}\n' "${debian_packages[@]}" 2>/dev/null |
    grep -c '^installed$' | grep -qx "${#debian_packages[@]}"
}

debian_installs_packages() {
  local as_root=()
  command -v apt-get >/dev/null || return
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  echo "installing Debian packages: ${debian_packages[*]}" >&2
  # --no-remove: these packages conflict with Debian's rustup, and must not push it out.
  "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=120 update >&2 &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 \
      install --yes --no-remove --no-install-recommends "${debian_packages[@]}" >&2
}

# Paths of this machine stay out of the module, so that its bytes do not depend on where it was built. The last match wins.
rustflags=("--remap-path-prefix=$PWD=." "--remap-path-prefix=$target_dir=target" "--remap-path-prefix=$cargo_home=cargo")
cargo=(cargo)
clippy=(cargo clippy)
build_std=()

if [ "${MDRM_WASM_TOOLCHAIN:-}" != debian ] && { toolchain_has_target || rustup_adds_target; }; then
  # The toolchain's own, or where a distribution took it out, the system's.
  compgen -G "$(rustc --print sysroot)/lib/rustlib/*/bin/rust-lld" >/dev/null ||
    export CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld
elif debian_has_packages || debian_installs_packages; then
  export RUSTC=/usr/bin/rustc CARGO=/usr/bin/cargo
  export RUSTC_BOOTSTRAP=1 # allows -Z build-std in a released compiler
  export CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld-22
  rustflags+=(-L native=/usr/lib/wasm32-wasi -C link-self-contained=no)
  cargo=(/usr/bin/cargo)
  clippy=(/usr/bin/cargo-clippy clippy) # by its path: cargo would look in ~/.cargo/bin first
  build_std=(-Z "build-std=std,panic_abort")
else
  cat >&2 <<MESSAGE
error: no standard library for the target $target. One of these brings it:
  rustup target add $target
  apt-get install ${debian_packages[*]}    (Debian 12, as root)
MESSAGE
  exit 1
fi

CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${rustflags[*]}")
export CARGO_ENCODED_RUSTFLAGS
common=(--locked --lib --target "$target" --target-dir "$target_dir" "${build_std[@]}")

module=target/mdrm_authz.wasm

case ${1:-build} in
  build) ;;
  clippy)
    "${clippy[@]}" "${common[@]}" -- -D warnings
    "${clippy[@]}" "${common[@]}" --features differential -- -D warnings
    exec "${clippy[@]}" "${common[@]}" --features test-switches -- -D warnings
    ;;
  differential)
    common+=(--features differential)
    module=target/mdrm_authz_differential.wasm
    ;;
  test-switches)
    common+=(--features test-switches)
    module=target/mdrm_authz_test_switches.wasm
    ;;
  *)
    echo "usage: envoy/build-wasm.sh [build|clippy|differential|test-switches]" >&2
    exit 2
    ;;
esac

# `cargo rustc` with one crate type: `cargo build` drops LTO, because the crate is an rlib too.
"${cargo[@]}" rustc --profile wasm "${common[@]}" --crate-type cdylib

built=$target_dir/$target/wasm/mdrm_authz.wasm
wasm_opt=${MDRM_WASM_OPT-$(command -v wasm-opt || true)}
if [ -n "$wasm_opt" ]; then
  # What the compiler takes for granted of this target. The module gets a tenth smaller; V8 compiles it no faster.
  features=(bulk-memory multivalue mutable-globals nontrapping-float-to-int reference-types sign-ext)
  "$wasm_opt" -O3 "${features[@]/#/--enable-}" "$built" --output "$built.optimised" || {
    echo "error: $wasm_opt failed; MDRM_WASM_OPT= builds without it" >&2
    exit 1
  }
  built=$built.optimised
fi
# Only a changed module gets a new time stamp; the rename keeps a running Envoy from reading half a file.
mkdir -p target
if ! cmp -s "$built" "$module"; then
  cp "$built" "$module.$$"
  mv -f "$module.$$" "$module"
fi
{
  "${RUSTC:-rustc}" --version
  [ -z "$wasm_opt" ] || "$wasm_opt" --version
} >"${module%.wasm}.tools"
echo "$module: $(wc -c <"$module") bytes"
