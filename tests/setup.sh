#!/bin/sh
# Runs tools/setup.sh for every purpose on a machine that has none of its packages, and once more when it has them. The
# machine is a folder of commands: apt-get installs known packages as commands that do nothing.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
machine=$(mktemp -d)
trap 'rm -rf "$machine"' EXIT
export MACHINE="$machine"
mkdir "$machine/bin" "$machine/tools"
cp "$root/tools/setup.sh" "$machine/tools"
for command in sh cat chmod cut dirname env id mkdir; do
    ln -s "$(command -v $command)" "$machine/bin/$command"
done

# script NAME: a command of the machine, from standard input
script() {
    cat - >"$machine/bin/$1"
    chmod +x "$machine/bin/$1"
}

# Each line is a package and the commands in it.
cat >"$machine/packages" <<'END'
binutils readelf
chromium chromium
clang clang clang++
clang-format clang-format
clang-tidy clang-tidy
doctest-dev
g++ c++ g++
g++-12-multilib
g++-aarch64-linux-gnu aarch64-linux-gnu-g++
g++-arm-linux-gnueabihf arm-linux-gnueabihf-g++
g++-mingw-w64-x86-64-posix x86_64-w64-mingw32-g++-posix
g++-riscv64-linux-gnu riscv64-linux-gnu-g++
g++-s390x-linux-gnu s390x-linux-gnu-g++
gcc cc gcc
libc++-14-dev-wasm32
libc++abi-14-dev-wasm32
libclang-rt-14-dev
libclang-rt-14-dev-wasm32
libasio-dev
libev-dev
libevent-dev
libssl-dev
libuv1-dev
lld wasm-ld
llvm-14 llvm-ar-14
meson meson
ninja-build ninja
nodejs node
pkg-config pkg-config
python3 python3
python3-venv
qemu-user qemu-aarch64
strace strace
util-linux setarch
valgrind valgrind
wasi-libc
wine64 wine64
END

script sudo <<'END'
#!/bin/sh
exec "$@"
END
script dpkg <<'END'
#!/bin/sh
[ -e "$MACHINE/complete" ]
END
script apt-get <<'END'
#!/bin/sh
echo "$*" >>"$MACHINE/calls"
[ "$1" = install ] || exit 0
for package; do
    case $package in install | -*) continue ;; esac
    found=
    while read -r name commands; do
        [ "$name" = "$package" ] || continue
        found=1
        for command in $commands; do
            case $command in
            *++ | clang | cc | gcc) tool=compiler ;;
            meson) tool=meson ;;
            python3) tool=python3 ;;
            *) tool=nothing ;;
            esac
            cat "$MACHINE/$tool" >"$MACHINE/bin/$command"
            chmod +x "$MACHINE/bin/$command"
        done
    done <"$MACHINE/packages"
    [ -n "$found" ] || {
        echo "E: Unable to locate package $package"
        exit 100
    }
done
END
cat >"$machine/nothing" <<'END'
#!/bin/sh
END
cat >"$machine/meson" <<'END'
#!/bin/sh
echo 1.0.1
END
cat >"$machine/compiler" <<'END'
#!/bin/sh
case "$0 $*" in
*clang*-dumpversion) echo 14.0.6 ;;
*-dumpversion) echo 12 ;;
*) [ -e "$MACHINE/complete" ] ;;
esac
END
cat >"$machine/python3" <<'END'
#!/bin/sh
if [ "$1 $2" = '-m venv' ]; then
    mkdir -p "$3/bin"
    cat "$MACHINE/nothing" >"$3/bin/pip"
    chmod +x "$3/bin/pip"
fi
END

fail() {
    echo "$*"
    cat "$machine/log" "$machine/calls" 2>/dev/null || true
    exit 1
}

# Each list of purposes on a new machine. Its compilers cannot compile the probes.
cp -R "$machine/bin" "$machine/new"
for purposes in build 'build test' 'build test native' 'build test native fuzz' 'build test native cross' 'fuzz build' \
    'cross test build' 'build bench'; do
    rm -rf "$machine/bin" "$machine/calls" "$machine/build"
    cp -R "$machine/new" "$machine/bin"
    # shellcheck disable=SC2086 # one argument a purpose
    PATH="$machine/bin" sh "$machine/tools/setup.sh" $purposes >"$machine/log" 2>&1 ||
        fail "setup.sh $purposes failed"
    wanted='g++ gcc meson'
    case $purposes in *test*) wanted="$wanted doctest-dev" ;; esac
    case $purposes in *native*) wanted="$wanted clang clang-format clang-tidy pkg-config binutils libssl-dev" ;; esac
    case $purposes in *fuzz*) wanted="$wanted clang libclang-rt-14-dev" ;; esac
    case $purposes in *cross*) wanted="$wanted clang g++-mingw-w64-x86-64-posix g++-12-multilib nodejs" ;; esac
    case $purposes in *cross*) wanted="$wanted libclang-rt-14-dev-wasm32" ;; esac
    case $purposes in *bench*) wanted="$wanted strace libuv1-dev libasio-dev libev-dev libevent-dev" ;; esac
    for package in $wanted; do
        grep -q "^install.* $package\( \|\$\)" "$machine/calls" || fail "setup.sh $purposes did not install $package"
    done
    case $purposes in
    *native* | *fuzz* | *cross* | *bench*) ;;
    *) ! grep -E 'clang|wine|mingw|pkg-config' "$machine/calls" || fail "setup.sh $purposes installs too much" ;;
    esac
    [ "$(grep -c '^update' "$machine/calls")" -eq 1 ] || fail "setup.sh $purposes read the lists of packages twice"
done

PATH="$machine/bin" sh "$machine/tools/setup.sh" build test native fuzz cross bench >"$machine/log" 2>&1 ||
    fail 'setup.sh failed'
touch "$machine/complete"
rm "$machine/calls"
PATH="$machine/bin" sh "$machine/tools/setup.sh" build test native fuzz cross bench >"$machine/log" 2>&1 ||
    fail 'setup.sh failed'
[ ! -e "$machine/calls" ] || fail 'setup.sh installs what is there'

# A user without sudo receives the commands for root. Nothing is installed, and standard output, which is a path, is
# empty.
rm -rf "$machine/bin" "$machine/complete"
cp -R "$machine/new" "$machine/bin"
rm "$machine/bin/sudo" "$machine/bin/id"
script id <<'END'
#!/bin/sh
echo 1000
END
! PATH="$machine/bin" sh "$machine/tools/setup.sh" build test >"$machine/out" 2>"$machine/log" ||
    fail 'setup.sh says that all is well where it can install nothing'
[ ! -e "$machine/calls" ] || fail 'setup.sh calls apt-get without being root'
[ ! -s "$machine/out" ] || fail 'setup.sh prints a path although it failed'
for command in 'apt-get update' 'apt-get install -y --no-install-recommends.* g++ '; do
    grep -q "^    $command" "$machine/log" || fail "setup.sh does not tell the command $command"
done
