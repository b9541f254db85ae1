#!/bin/sh
# Installs the missing packages on a Debian or Ubuntu machine, and nothing when none is missing.
#
#   setup.sh build         a compiler, Meson, Ninja
#   setup.sh build test    also the packages for the tests with g++
#   setup.sh ... native    also clang and its tools, and the packages for the tests of the package, recipes and traces
#   setup.sh ... fuzz      also libFuzzer and the sanitizers of clang
#   setup.sh ... cross     also compilers for the other systems, and emulators for their programs
#   setup.sh ... bench     also the libraries that the benchmark compares, strace, and Matplotlib
#
# A user other than root needs sudo. Without it the script prints the commands for root, installs nothing, and fails.
#
# Prints a directory to put in front of PATH where something had to be installed in build/venv (Meson where the
# distribution's is older than 1.0; Zig, a C and C++ compiler for macOS, FreeBSD and musl; Matplotlib); else nothing.
set -eu
cd "$(dirname "$0")/.."

packages=
venv_packages=
updated=
want() { # want PACKAGE COMMAND: the package, unless the command is there
    command -v "$2" >/dev/null 2>&1 || packages="$packages $1"
}

install() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "please install what these Debian packages hold: $*" >&2
        exit 1
    fi
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
        if ! command -v sudo >/dev/null 2>&1; then
            {
                echo 'Packages are missing, and there is no sudo. Run these commands as root:'
                echo '    apt-get update'
                echo "    apt-get install -y --no-install-recommends $*"
            } >&2
            exit 1
        fi
    fi
    echo "installing: $*" >&2
    {
        [ -n "$updated" ] || $as_root apt-get update -qq
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
    } >&2
    updated=1
}

install_wanted() { # before a command is run that may be among them
    # shellcheck disable=SC2086 # one argument a package
    [ -z "$packages" ] || install $packages
    packages=
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
        install_wanted
        printf '#include <doctest/doctest.h>\n' | c++ -x c++ -fsyntax-only - 2>/dev/null ||
            packages="$packages doctest-dev"
        ;;
    native)
        want clang clang++
        want clang-format clang-format
        want clang-tidy clang-tidy
        want pkg-config pkg-config
        want binutils readelf
        want util-linux setarch
        want valgrind valgrind
        want strace strace
        # Ubuntu has no package of it that is not a snap, which cannot read other programs' files.
        case $(cat /etc/os-release 2>/dev/null) in
        *ID=ubuntu*) ;;
        *) want chromium chromium ;;
        esac
        want gcc cc
        install_wanted
        printf '#include <openssl/ssl.h>\n' | cc -x c -fsyntax-only - 2>/dev/null || packages="$packages libssl-dev"
        ;;
    fuzz)
        want clang clang++
        install_wanted
        printf 'extern "C" int LLVMFuzzerTestOneInput(const char *, long) { return 0; }\n' |
            clang++ -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null ||
            packages="$packages libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
        ;;
    cross)
        want clang clang++
        want pkg-config pkg-config
        want g++-mingw-w64-x86-64-posix x86_64-w64-mingw32-g++-posix
        want nodejs node
        want lld wasm-ld
        want llvm-14 llvm-ar-14
        [ -x /usr/lib/wine/wine64 ] || want wine64 wine64
        want g++ c++
        install_wanted
        # Versioned, as g++-multilib excludes the compilers for other processors.
        printf 'int main() {}\n' | c++ -m32 -x c++ - -o /dev/null 2>/dev/null ||
            packages="$packages g++-$(c++ -dumpversion | cut -d. -f1)-multilib"
        for processor in aarch64-linux-gnu arm-linux-gnueabihf riscv64-linux-gnu s390x-linux-gnu; do
            want "g++-$processor" "$processor-g++"
        done
        want qemu-user qemu-aarch64
        for package in wasi-libc libc++-14-dev-wasm32 libc++abi-14-dev-wasm32 libclang-rt-14-dev-wasm32; do
            dpkg -s "$package" >/dev/null 2>&1 || packages="$packages $package"
        done
        venv_packages="$venv_packages ziglang"
        ;;
    bench)
        want pkg-config pkg-config
        want strace strace
        for package in libuv1-dev libasio-dev libev-dev libevent-dev; do
            dpkg -s "$package" >/dev/null 2>&1 || packages="$packages $package"
        done
        venv_packages="$venv_packages -r bench/requirements.txt"
        ;;
    *)
        echo "usage: setup.sh build|test|native|fuzz|cross|bench ..." >&2
        exit 2
        ;;
    esac
done
install_wanted

case $(meson --version) in
0.*) venv_packages="$venv_packages meson>=1.0" ;;
esac
if [ -n "$venv_packages" ]; then
    if ! [ -x build/venv/bin/pip ]; then
        python3 -c 'import ensurepip' 2>/dev/null || install python3-venv
        mkdir -p build
        python3 -m venv build/venv >&2
    fi
    # shellcheck disable=SC2086 # one argument a package
    build/venv/bin/pip install --quiet $venv_packages >&2
    echo "$PWD/build/venv/bin"
fi
