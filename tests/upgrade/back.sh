# The way back: sourced by run.sh, with its functions.

# Everything below the data directory but the log, which says what was refused, and what pods write themselves.
state() {
    find "$data" -xdev \( -path "$data/logs" -o -path "$data/kubelet/pods" -o -path '*/upper' \) -prune -o \
        ! -name ironclad.log ! -path "$data" -printf '%P %y %m %s %i %T@\n' | sort
}
# refuses NAME PATTERN BINARY: it does not come up and says why; nothing has changed on the disk.
refuses() {
    local name=$1 pattern=$2 binary=$3
    state >"$work/state"
    ! up "$binary" >"$work/out" 2>&1 || fail "$name: it came up"
    grep -Eq -- "$pattern" "$work/out" || { cat "$work/out" >&2; fail "$name"; }
    state >"$work/state.now"
    [ "${4:-}" = changes ] || cmp -s "$work/state" "$work/state.now" || fail "$name: changed $(diff "$work/state" "$work/state.now")"
    ok "$name"
}
# newer FILE TEXT PATTERN: with this in a file of the data directory, the program refuses it; without, all is as before.
newer() {
    local file=$data/$1
    cp -a "$file" "$work/kept"
    printf '%s\n' "$2" >"$file"
    refuses "a later $(basename "$file") is refused in words" "$3" "$new" "${4:-}"
    cp -a "$work/kept" "$file"
}

go_back() {
    objects >"$work/objects"
    containers >"$work/containers"
    processes >"$work/processes"
    end term
    # The earlier program takes it, or refuses it; it does not misread it.
    if up "$old" >"$work/out" 2>&1; then
        is_same
        ok "the earlier program takes the data"
        end term
    else
        grep -q '^error: ' "$work/out" || fail "the earlier program does not say why it ends: $(cat "$work/out")"
        ok "the earlier program refuses the data: $(grep -m1 '^error: ' "$work/out" | cut -c1-200)"
    fi

    newer version '{"format":1000,"program":"Ironclad v99.0.0"}' "was written by Ironclad v99.0.0 in format 1000, and this Ironclad v.* knows formats up to"
    newer version 'x' "version does not say what the data directory's format is"
    says "images of a later directory are left alone" 'was written by Ironclad v99.0.0' \
        newer_image
    newer store/format 1000 'has format 1000, this Ironclad knows formats up to' changes
    local record
    record=$(cd "$data" && find runtime/pods -name pod.json | head -1)
    newer "$record" '{"version":1000}' 'pod.json has version 1000, and this program knows versions up to' changes
    record=$(cd "$data" && find runtime/containers -name container.json | head -1)
    newer "$record" '{"version":1000}' 'container.json has version 1000, and this program knows versions up to' changes

    up "$new" >"$work/out" 2>&1 || { cat "$work/out"; fail "this program does not come up again"; }
    is_same
    ok "after all refusals everything is as it was"
}

newer_image() {
    cp -a "$data/version" "$work/kept"
    printf '{"format":1000,"program":"Ironclad v99.0.0"}\n' >"$data/version"
    "$new" image ls --data-dir "$data" || true
    cp -a "$work/kept" "$data/version"
}
