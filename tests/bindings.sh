#!/bin/sh
# The Rust crates' tests, from this checkout: `cargo test` with the versions of bindings/rust/Cargo.lock. Exits with 77,
# which Meson counts as skipped, where there is no cargo or the crates that they depend on cannot be fetched.
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
cargo test --release --locked
