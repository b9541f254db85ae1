#!/bin/sh
# Measures the benchmark and its peers. Installs missing tools, builds everything in build/bench, measures in
# alternation, and writes the results.
#
#   run.sh                about 15 minutes of measuring on two cores
#   run.sh --quick        shorter runs: about 2 minutes
#   run.sh --only WORD    only workloads and groups whose names contain WORD; more WORDs can follow
#   run.sh --rounds N     the number of rounds, by default 7
#   run.sh --smoke        a few operations in one round, to check that everything works
#   run.sh --native       without the programs in Rust
#   run.sh --also BENCH   with another build of the benchmark, such as another version; more BENCHes can follow
#
# Complete results go to bench/results. Partial results (--only, --smoke, --native, --also) go to build/bench/results.
# The machine should have no other work.
set -eu
cd "$(dirname "$0")/.."
case " $* " in
*' -h '* | *' --help '*)
    sed -n '2,15s/^# \{0,1\}//p' bench/run.sh
    exit
    ;;
esac
build=$PWD/build/bench
log=$build.log
mkdir -p build

echo '1 of 3: looking for compilers, libraries and plots, installing what is missing'
if ! path=$(sh tools/setup.sh build bench); then
    echo 'Not everything could be installed. What needs it is skipped.'
    path=
fi
PATH=${path:+$path:}$PATH

# quietly COMMAND...: shows the command's output only if it fails
quietly() {
    "$@" >"$log" 2>&1 || {
        cat "$log"
        return 1
    }
}

echo '2 of 3: building the benchmark and its peers; about 3 minutes on two cores the first time'
[ -f "$build/build.ninja" ] || quietly meson setup "$build" --buildtype=release -Dbenchmarks=true
quietly ninja -C "$build"

# crates WORD MANIFEST OPTION...: builds the programs of a package, or prints why it cannot. One codegen unit and LTO
# over all crates, as in the profile of bench/peers/rust.
crates() {
    what=$1 manifest=$2
    shift 2
    echo "    $what"
    quietly env CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 CARGO_PROFILE_RELEASE_PANIC=abort \
        cargo build --quiet --release --locked --manifest-path "$manifest" --target-dir "$build/cargo" "$@" ||
        echo "    skipped: $what cannot be built"
}
case " $* " in
*' --native '*) ;;
*)
    if command -v cargo >/dev/null 2>&1; then
        crates 'Rust peers' bench/peers/rust/Cargo.toml
        crates 'Tokio and async-std behind C functions' examples/Cargo.toml -p zyntax-tokio -p zyntax-async-std
    else
        echo '    skipped: the programs in Rust, as there is no cargo'
    fi
    ;;
esac

echo '3 of 3: measuring'
exec python3 bench/compare.py --build "$build" "$@"
