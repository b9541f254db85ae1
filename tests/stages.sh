# Shared by run.sh and cross.sh: stages that are built, run and counted. To be sourced in the tree's root, with
# `summary` naming an empty file, and with no other files in the working directory's `build` than their own. A script
# that sources this calls `forget_files` at its end.
# shellcheck shell=sh

root=$PWD
wrapper= # stands before `meson test`
wanted= # the targets of Ninja, by default all
mkdir -p build

# A line for each test that was skipped: STAGE: NAME: REASON. run.sh hands its file to cross.sh.
skips=${ZYNTAX_SKIPS:-$(mktemp)}
forget_files() {
    rm -f "$summary"
    [ "$skips" = "${ZYNTAX_SKIPS:-}" ] || rm -f "$skips"
}

# A terminal shows Ninja's progress in one line; a log would have a line for each file.
progress=
[ -t 1 ] || progress=--quiet

# heading WHAT: prints the stage that begins, and the time since the first heading; took WHAT: prints its duration
began_all=$(date +%s)
heading() {
    began=$(date +%s)
    printf '\n==== %s (at %d:%02d)\n' "$1" $(((began - began_all) / 60)) $(((began - began_all) % 60))
}
took() {
    echo "---- $1 took $(($(date +%s) - began)) s"
}

# Debian's ccache has compilers by their own names.
[ ! -d /usr/lib/ccache ] || PATH=/usr/lib/ccache:$PATH

# Most tests wait for something most of the time.
processes=$(($(getconf _NPROCESSORS_ONLN) * 2))

# record STAGE PASSED FAILED SKIPPED [NAME ...]: one line of the summary; the names are those that failed
record() {
    echo "$@" >>"$summary"
}

# count STAGE LOG: a line for the summary from a log of `meson test`; and one in $skips for each test that was skipped
count() {
    python3 - "$1" "$2" "$skips" <<'END'
import json, sys
stage, log, skips = sys.argv[1:]
results = [json.loads(line) for line in open(log)]
good = [t for t in results if t['result'] in ('OK', 'EXPECTEDFAIL')]
skipped = [t for t in results if t['result'] == 'SKIP']
bad = [t['name'].split(' / ')[-1].replace(' ', '_') for t in results if t not in good and t not in skipped]
print(stage, len(good), len(bad), len(skipped), *bad)
with open(skips, 'a') as file:
    for test in skipped:
        # A test that is skipped says why: in a line that begins with that word, or in its last one.
        lines = [line.strip() for line in test.get('stdout', '').splitlines() if line.strip()]
        reasons = [line for line in lines if line.startswith('skip')] or lines or ['it gives no reason']
        print(f"{stage}: {test['name'].split(' / ')[-1]}: {reasons[-1]}", file=file)
END
}

# build STAGE [SETUP OPTION ...]: configures and builds build/STAGE; a failure counts as a failed test
build() {
    stage=$1
    shift
    heading "$stage: build"
    if ! [ -f "build/$stage/build.ninja" ]; then
        rm -rf "build/$stage"
        if ! meson setup "build/$stage" -Dtests=true -Dexamples=true "$@" >"build/$stage.log" 2>&1; then
            cat "build/$stage.log"
            record "$stage" 0 1 0 meson_setup
            return 1
        fi
    fi
    # shellcheck disable=SC2086 # several words
    if ! ninja -C "build/$stage" $progress $wanted; then
        record "$stage" 0 1 0 ninja
        return 1
    fi
    took "$stage: build"
}

# run STAGE NAME [meson test OPTION ...]: runs the tests of build/STAGE as NAME
run() {
    stage=$1 title=$2
    shift 2
    heading "$title: test"
    rm -f "build/$stage/meson-logs/$title.json"
    $wrapper meson test -C "build/$stage" --no-rebuild --num-processes "$processes" --print-errorlogs \
        --logbase "$title" "$@" || true
    took "$title: test"
    if [ -f "build/$stage/meson-logs/$title.json" ]; then
        count "$title" "build/$stage/meson-logs/$title.json" >>"$summary"
    else
        record "$title" 0 1 0 meson_test
    fi
}

# Prints the skipped tests with their reasons, then the summary and its sum. Fails unless the sum is good.
conclude() {
    if [ -s "$skips" ]; then
        printf '\n==== skipped\n'
        cat "$skips"
    fi
    printf '\n==== summary (in %s/build, which takes %s)\n' "$root" "$(du -sh build | cut -f 1)"
    awk '
        { printf "%-16s %4d passed %4d failed %4d skipped", $1, $2, $3, $4
          for (i = 5; i <= NF; i++) printf "%s%s", i == 5 ? ": " : ", ", $i
          print ""
          passed += $2; failed += $3 }
        END { printf "\n%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$summary"
}
