#!/bin/sh
# Checks the last lines of run.sh, from logs of `meson test` that are written here: the names of failed tests, and the
# skipped tests with their reasons, also in the counts of cross.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
summary=$place/summary
: >summary
. "$here/stages.sh"

fail() {
    echo "$*"
    cat "$place/out"
    exit 1
}

: >out
cat >one.json <<'END_OF_LOG'
{"name": "zyntax / join", "result": "OK", "stdout": ""}
{"name": "zyntax / timer", "result": "FAIL", "stdout": "wrong\n"}
{"name": "zyntax / limit", "result": "SKIP", "stdout": "no such limit here\n"}
{"name": "zyntax:package / package-cmake", "result": "SKIP", "stdout": "skip cmake: no cmake here\npackage: 0 ok\n"}
{"name": "zyntax / silent", "result": "SKIP"}
END_OF_LOG
cat >two.json <<'END_OF_LOG'
{"name": "zyntax / wine", "result": "SKIP", "stdout": "no Wine\n"}
END_OF_LOG

count first one.json >>summary
(
    ZYNTAX_SKIPS=$skips
    . "$here/stages.sh"
    count other two.json >>summary
    summary=$place/of_cross
    forget_files
)
! conclude >out || fail 'a test that failed is no failure of the run'
for line in 'first: limit: no such limit here' 'first: package-cmake: skip cmake: no cmake here' \
    'first: silent: it gives no reason' 'other: wine: no Wine'; do
    grep -Fxq "$line" out || fail "not told: $line"
done
grep -Eq '^first +1 passed +1 failed +3 skipped: timer$' out || fail 'not the sum of a stage'

: >"$skips"
echo 'first 1 0 0' >summary
conclude >out || fail 'a run without a failure has failed'
! grep -q '==== skipped' out || fail 'a list of nothing'

heading 'a stage' >out
took 'a stage' >>out
grep -q '^==== a stage (at 0:0[0-9])$' out && grep -Eq '^---- a stage took [0-9]+ s$' out || fail 'no times'
forget_files
[ ! -e "$skips" ] || fail 'the list is left behind'
