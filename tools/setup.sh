#!/bin/sh
# Installs what is missing on a Debian or Ubuntu machine; does nothing when nothing is.
#
#   setup.sh build         compilers, Meson, Ninja
#   setup.sh build test    also what the tests need
#
# Prints a directory to put in front of PATH where the distribution's Meson is older than 1.0 (a newer one is then
# installed in build/venv), otherwise nothing.
set -eu
cd "$(dirname "$0")/.."

packages=
want() { # want PACKAGE COMMAND: the package, unless the command is there
    command -v "$2" >/dev/null 2>&1 || packages="$packages $1"
}

install() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "please install what these Debian packages hold: $*" >&2
        exit 1
    fi
    as_root=
    if [ "$(id -u)" -ne 0 ]; then as_root=sudo; fi
    echo "installing: $*" >&2
    {
        $as_root apt-get update -qq
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
    } >&2
}

for purpose in "$@"; do
    case $purpose in
    build)
        want g++ c++
        want gcc cc
        want python3 python3
        want meson meson
        want ninja-build ninja
        ;;
    test)
        want g++ g++
        want clang clang++
        want clang-format clang-format
        want clang-tidy clang-tidy
        want pkg-config pkg-config
        want binutils readelf
        want util-linux setarch
        printf '#include <doctest/doctest.h>\n' | c++ -x c++ -fsyntax-only - 2>/dev/null ||
            packages="$packages doctest-dev"
        ;;
    *)
        echo "usage: setup.sh build|test ..." >&2
        exit 2
        ;;
    esac
done
# shellcheck disable=SC2086 # one argument a package
[ -z "$packages" ] || install $packages

case $(meson --version) in
0.*)
    if ! [ -x build/venv/bin/meson ]; then
        install python3-venv
        python3 -m venv build/venv >&2
        build/venv/bin/pip install --quiet 'meson>=1.0' >&2
    fi
    echo "$PWD/build/venv/bin"
    ;;
esac
