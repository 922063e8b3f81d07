# lib.sh: what the command line tests share. Sourced with EBB (the program) and DATA (data/) set.
#
# Every run of the program is checked for its exit code, and a death by a signal (128 and more) fails the
# test wherever it happens.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "FAIL: $*"
    sed 's/^/    /' out err 2>/dev/null | head -20
    failures=$((failures + 1))
}
# expect CODE ARGUMENT...: runs ebb; stdout into out, stderr into err.
expect() {
    want=$1
    shift
    "$EBB" "$@" >out 2>err </dev/null
    code=$?
    [ $code = "$want" ] || fail "ebb $*: exit code $code, expected $want"
}
# cut_when CONDITION ARGUMENT...: runs ebb and interrupts it once the condition (shell text) holds; it must end with exit code 3.
cut_when() {
    condition=$1
    shift
    : >err
    "$EBB" "$@" >out 2>err </dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null && ! eval "$condition"; do sleep 0.05; done
    kill -INT $pid
    wait $pid
    code=$?
    [ $code = 3 ] || fail "ebb $*, interrupted: exit code $code, expected 3"
}
# The same of a command that can go on and says how.
interrupt_when() {
    cut_when "$@"
    says 'the same command goes on'
}
# stop_at_work ARGUMENT...: the same of a command that loses its work, interrupted at its first line of progress: no result.
stop_at_work() {
    cut_when '[ -s err ]' "$@"
    says 'stopped'
    [ ! -s out ] || fail "ebb $*, interrupted: it printed a result"
}
# says TEXT: the last run's message names it, on one line "ebb: ...".
says() { grep '^ebb: ' err | grep -qF -- "$1" || fail "the message does not say \"$1\""; }
prints() { grep -qF -- "$1" out || fail "stdout does not have \"$1\""; }
is_json() { [ "$(wc -l <out)" = 1 ] && grep -q '^[[{].*[]}]$' out || fail "stdout is not one line of JSON"; }
absent() {
    for path; do
        [ ! -e "$path" ] || fail "$path was left behind"
    done
}
# Nothing in DIRECTORY but the names given: no temporary file left.
only() {
    directory=$1
    shift
    for path in "$directory"/* "$directory"/.[!.]*; do
        [ -e "$path" ] || continue
        name=${path##*/}
        case " $* " in
        *" $name "*) ;;
        *) fail "$path was left behind" ;;
        esac
    done
}
# flip FILE OFFSET: turns one bit of the byte around.
flip() {
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    printf "\\$(printf %03o $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
size_of() { wc -c <"$1" | tr -d ' '; }
cut_to() { head -c "$2" "$1" >"$3"; }
finish() {
    [ $failures = 0 ] || echo "$failures failures"
    [ $failures = 0 ]
}

# A recipe that trains in a moment, on the first digits.
tiny() {
    cat >tiny.json <<JSON
{
  "data": { "kind": "idx", "path": "$DATA/mnist/mnist-test-images-idx3-ubyte.gz",
            "labels": "$DATA/mnist/mnist-test-labels-idx1-ubyte.gz", "limit": 64 },
  "net": { "kind": "unet", "classes": 10, "base": 8, "mult": [1, 2], "blocks": 1, "groups": 4 },
  "process": { "steps": 50 },
  "train": { "steps": 4, "batch": 8, "shard": 4, "log_every": 1, "save_every": 0 }
}
JSON
}
