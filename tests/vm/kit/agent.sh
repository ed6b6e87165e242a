#!/bin/bash
# Runs what comes on standard input: a line "MARK SCRIPT INPUT" with two lengths, then so many bytes of a script and
# of its standard input. The answer: what the script prints, then a line "MARK CODE" with its exit code.
while read -r mark script input; do
    dir=$(mktemp -d /run/vm.XXXXXX)
    head -c "$script" > "$dir/script"
    head -c "$input" > "$dir/input"
    (cd /root && exec bash "$dir/script") < "$dir/input" 2>&1
    printf '\n%s %d\n' "$mark" "$?"
    rm -rf "$dir"
done
