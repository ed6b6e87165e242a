# What the scripts of tests share; sourced by them.

passed=0
ok() { passed=$((passed + 1)); echo "ok   $*"; }
fail() { echo "FAIL $*" >&2; exit 1; }
# says NAME PATTERN COMMAND...: the command's output, whatever its exit code, has the pattern.
says() {
    local name=$1 pattern=$2 output; shift 2
    output=$("$@" 2>&1) || true
    grep -Eq -- "$pattern" <<<"$output" || { echo "$output" >&2; fail "$name"; }
    ok "$name"
}
# does NAME COMMAND...: the command succeeds.
does() {
    local name=$1; shift
    "$@" >/dev/null || fail "$name"
    ok "$name"
}
# within SECONDS COMMAND...: repeats the command until it succeeds.
within() {
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { "$@" || true; return 1; }
        read -rt 0.1 <> <(:) || true
    done
}
