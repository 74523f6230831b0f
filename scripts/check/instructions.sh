#!/usr/bin/env bash
# Counts the instructions that each part of the loop executes an event, and fails where there are more than
# benches/instructions.txt allows: times differ from run to run, instructions hardly do. Of a debug build, which every check
# builds anyway; a release executes about a tenth of them, but what grows here grows there.
# scripts/check/instructions.sh [--update]
set -euo pipefail
cd "$(dirname "$0")/../.."
bounds=benches/instructions.txt
# A new figure may be so much above its bound; what is so much below asks for a lower bound.
margin=10
. scripts/setup/fetch.sh
command -v valgrind >/dev/null || root apt-get install -y -qq --no-install-recommends valgrind >/dev/null ||
    { root apt-get update -qq && root apt-get install -y -qq --no-install-recommends valgrind >/dev/null; } ||
    { echo "skipped: there is no valgrind: instructions are not counted"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench=$(cargo build --locked --bench instructions --message-format json | sed -n 's/.*"executable":"\([^"]*instructions-[^"]*\)".*/\1/p' | tail -1)
# Names are enough; lines of the source would take longer to read than the run takes.
objcopy --strip-debug "$bench" "$work/instructions"
valgrind --tool=callgrind --callgrind-out-file="$work/counts" "$work/instructions" > "$work/told" 2> "$work/log" ||
    { cat "$work/log" >&2; exit 1; }
callgrind_annotate --inclusive=yes --threshold=100 "$work/counts" > "$work/annotated"
awk -v margin="$margin" -v update="${1:-}" -v bounds="$bounds" '
    FILENAME == ARGV[1] { events = $2; next }
    FILENAME == ARGV[2] { if ($1 !~ /^#/) bound[$1] = $2; next }
    match($0, /:instructions::part_[a-z0-9_]+ /) {
        name = substr($0, RSTART + 20, RLENGTH - 21)
        count = $1; gsub(",", "", count); count += 0
        if (!(name in now) || count > now[name]) now[name] = count
    }
    END {
        for (name in now) {
            each = int(now[name] / events)
            if (update == "--update") { print name, each; continue }
            if (!(name in bound)) { printf "%-16s %8d an event: it has no bound\n", name, each; bad = 1; continue }
            share = 100 * each / bound[name]
            printf "%-16s %8d an event, %3d %% of the bound\n", name, each, share
            if (share > 100 + margin) bad = 1
            if (share < 100 - margin) lower = lower " " name
        }
        for (name in bound) if (!(name in now) && update != "--update") { printf "%s was not counted\n", name; bad = 1 }
        if (lower) printf "faster than the bound, which may be lowered (--update):%s\n", lower
        exit bad
    }' "$work/told" <(cat "$bounds" 2>/dev/null || true) "$work/annotated" > "$work/result" || { cat "$work/result"; echo "more instructions than benches/instructions.txt allows: find out why, or raise the bound with the reason in the commit" >&2; exit 1; }
if [ "${1:-}" = --update ]; then
    { echo "# Instructions an event of each part of benches/instructions.rs in a debug build; scripts/check/instructions.sh --update writes this."; sort "$work/result"; } > "$bounds"
    cat "$bounds"
else
    sort "$work/result"
fi
