#!/bin/sh
# The Rust crates' tests, from this checkout: `cargo test` with the versions of bindings/rust/Cargo.lock. With --asan
# those of the safe crate that cross into the library, under AddressSanitizer and with the library's own checks. With
# --flags those of the declarations, with compiler flags that distributions set and that the build script removes. Exits
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
    # A lock file that does not fit is a mistake, and not the effect of a missing network.
    if cargo metadata --locked --offline --format-version 1 2>&1 >/dev/null | grep -q 'lock file'; then
        echo 'Cargo.lock does not fit the manifests: run cargo update in bindings/rust' >&2
        exit 1
    fi
    skip 'the crates that the tests depend on cannot be fetched'
fi
if [ "${1:-}" = --flags ]; then
    export CARGO_TARGET_DIR="$CARGO_TARGET_DIR-flags"
    host=$(rustc -vV | sed -n 's/^host: //p')
    gcc_flags='-ffat-lto-objects -fkeep-inline-functions -fno-implicit-templates --coverage -pg -fprofile-generate'
    clang_flags='-flto=thin -fwhole-program-vtables -fsplit-lto-unit -emit-llvm -fprofile-instr-generate
        -fcoverage-mapping'
    for compiler in g++ clang++; do
        if ! command -v $compiler >/dev/null; then
            echo "skipped: $compiler is not installed"
            continue
        fi
        if [ $compiler = g++ ]; then own=$gcc_flags; else own=$clang_flags; fi
        # In every variable that is read, in one word, in two, and behind -Wp; without optimisation at last.
        env CXX="$compiler -flto -std=c++11" HOST_CXXFLAGS="-D _GLIBCXX_ASSERTIONS -fsanitize=undefined -fno-pic $own" \
            CXXFLAGS="-g -O2 -Wall -Wextra -Wconversion -Werror=format-security -Werror -pedantic-errors -flto
                -Wp,-U_FORTIFY_SOURCE,-D_FORTIFY_SOURCE=2 -Wp,-D_GLIBCXX_ASSERTIONS -fstack-protector-strong
                -fexceptions -fnon-call-exceptions -frtti -fthreadsafe-statics -std=gnu++17" \
            "CXXFLAGS_$(echo "$host" | tr - _)=-fshort-enums -fpack-struct=1 -fvisibility=default -fsanitize=address" \
            "CXXFLAGS_$host=-D_GLIBCXX_DEBUG -fPIE -O0" \
            cargo test --locked -p zyntax-async-runtime-sys --test header
    done
    exit
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
