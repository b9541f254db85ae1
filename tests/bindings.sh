#!/bin/sh
# The Rust crates' tests, from this checkout: `cargo test` with the versions of bindings/rust/Cargo.lock. With --asan
# those of the safe crate that cross into the library, under AddressSanitizer and with the library's own checks. Exits
# with 77, which Meson counts as skipped, where there is no cargo or the crates that they depend on cannot be fetched.
set -eu
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="$PWD/build/cargo-bindings"
cd bindings/rust

skip() {
    echo "skipped: $1"
    exit 77
}

command -v cargo >/dev/null || skip 'cargo is not installed'
if ! cargo fetch --locked >/dev/null 2>&1 && ! cargo fetch --locked --offline >/dev/null 2>&1; then
    # A lock file that does not fit is a mistake, and not for want of a network.
    if cargo metadata --locked --offline --format-version 1 2>&1 >/dev/null | grep -q 'lock file'; then
        echo 'Cargo.lock does not fit the manifests: run cargo update in bindings/rust' >&2
        exit 1
    fi
    skip 'the crates that the tests depend on cannot be fetched'
fi
if [ "${1:-}" != --asan ]; then
    cargo test --release --locked
    exit
fi

# A stable compiler has the sanitizer, too, but has to be told that this is meant.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR="$CARGO_TARGET_DIR-asan"
target=$(rustc -vV | sed -n 's/^host: //p')
echo 'fn main() {}' | rustc --target "$target" $RUSTFLAGS -o "$CARGO_TARGET_DIR-probe" - 2>/dev/null ||
    skip 'this rustc has no AddressSanitizer'
cargo test --locked --target "$target" -p zyntax-async-runtime --tests
