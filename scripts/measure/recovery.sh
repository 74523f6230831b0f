#!/usr/bin/env bash
# How long a start takes after kill -9, with many events in the horizon: from exec to 200 of /-/ready.
# scripts/measure/recovery.sh [PAYMENTS] [RULES...]
#   PAYMENTS  7450000 make about ten million events
#   RULES     rule files or folders, one measurement each (default: rules/budget.yaml and rules/splitting.yaml)
# RECOVERY_WORK keeps the events and states for another run; RECOVERY_BINARY measures another binary.
set -euo pipefail
cd "$(dirname "$0")/../.."
payments=${1:-7450000}
shift || true
[ $# -gt 0 ] || set -- rules/budget.yaml rules/splitting.yaml
binary=${RECOVERY_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
config=$PWD/config/fiscwatch.yaml
if [ -n "${RECOVERY_WORK:-}" ]; then
    work=$RECOVERY_WORK
    mkdir -p "$work"
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi
events=$work/data/events.parquet
[ -e "$events" ] || "$binary" generate --payments "$payments" --units 2000 --seed 7 --out "$work/data"
rm -f "$work/data/events.jsonl"

address=127.0.0.1:19464
export FISCWATCH_HTTP__LISTEN=$address FISCWATCH_LOG__LEVEL=info
export FISCWATCH_SOURCES="[{\"name\":\"feed\",\"file\":{\"path\":\"$events\"}}]"
metric() { curl -sf "http://$address/metrics" | awk -v name="fiscwatch_$1" '$1 == name { print $2 }'; }

# Starts the daemon and tells how many seconds it took until it was ready.
start() {
    local began
    began=$(date +%s.%N)
    "$binary" run --config "$config" 2> "$work/log" &
    daemon=$!
    until curl -sf "http://$address/-/ready" > /dev/null; do
        kill -0 "$daemon" || { cat "$work/log" >&2; exit 1; }
        sleep 0.02
    done
    seconds=$(echo "$(date +%s.%N) - $began" | bc)
}

stop() {
    kill -9 "$daemon"
    wait "$daemon" 2> /dev/null || true
}

# Until nothing more is read and sealed.
settle() {
    local before= now
    while now="$(metric journal_events) $(metric sealed_events_total)"; [ "$now" != "$before" ]; do
        before=$now
        sleep 5
    done
}

for rules in "$@"; do
    export FISCWATCH_RULES__PATHS="[\"$PWD/$rules\"]"
    export FISCWATCH_STATE__DIR=$work/state-$(basename "$rules" .yaml)
    if [ ! -e "$FISCWATCH_STATE__DIR" ]; then
        start
        settle
        stop
    fi
    "$binary" state info --config "$config" | grep -E 'events|blocks|sealed|after the last'
    for _ in 1 2 3; do
        start
        resident=$(awk '/VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$daemon/status")
        # Other work on the machine changes the time until it is ready, and hardly what it took of the processors.
        processors=$(awk -v ticks="$(getconf CLK_TCK)" '{ print ($14 + $15) / ticks }' "/proc/$daemon/stat")
        stop
        echo "$rules: ready after $seconds s, $processors s of processors, $resident MiB at most"
        grep -oE 'state recovered.*|windows filled.*' "$work/log" | sed 's/^/    /'
    done
done
