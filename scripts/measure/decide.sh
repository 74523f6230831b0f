#!/usr/bin/env bash
# How long a decision takes before money moves, with the shipped rules: alone and beside ingest, `what_if` and `commit`,
# as milliseconds and as a multiple of an fdatasync on the same disk, measured in the same run beside the same load.
# scripts/measure/decide.sh [QUESTIONS_A_SECOND] [SECONDS] [EVENTS_A_SECOND] [CLIENTS]
# SYNC_MS=4 has both disk and yardstick take at least so long for an fdatasync, as servers' disks do.
# PACE=history has windows close and schedules fall due as fast as DAYS (120) days of events pass; METRICS=FILE keeps the
# metrics of the run.
# STATE=DIR is where the state goes, if not to the folder for temporary files; with SYNC_MS, a folder in memory is a disk that
# never pauses. Latency counts from when a question was due.
set -euo pipefail
cd "$(dirname "$0")/../.."
rate=${1:-200}
seconds=${2:-20}
ingest=${3:-5000}
clients=${4:-4}
binary=${DECIDE_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
work=$(mktemp -d "${STATE:-${TMPDIR:-/tmp}}/decide.XXXXXX")
trap 'kill $(jobs -p) 2> /dev/null || true; wait 2> /dev/null || true; rm -rf "$work"' EXIT
"$binary" generate --payments "$((ingest * seconds * 2))" --units 300 --days ${DAYS:-120} --seed 3 --out "$work" > /dev/null
# What was just written would be flushed by the first fsyncs that are measured.
sync
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export FISCWATCH_HTTP__LISTEN=127.0.0.1:$port FISCWATCH_RULES__PATHS="[\"$PWD/rules\"]" FISCWATCH_STATE__DIR=$work/state
export FISCWATCH_LOG__LEVEL=warn
if [ -n "${SYNC_MS:-}" ]; then
  cc -O2 -shared -fPIC -o "$work/slow_sync.so" scripts/measure/slow_sync.c
  export SLOW_SYNC_US=$((SYNC_MS * 1000)) LD_PRELOAD=$work/slow_sync.so
fi
"$binary" run --config "$work/fiscwatch.yaml" &
daemon=$!
until curl -sf "http://127.0.0.1:$port/-/ready" > /dev/null; do
  kill -0 "$daemon" 2> /dev/null || { echo "decide: the daemon did not start" >&2; exit 1; }
  sleep 0.1
done
python3 scripts/measure/decide.py "$port" "$rate" "$seconds" "$ingest" "$clients" "$work"
[ -z "${METRICS:-}" ] || curl -s "http://127.0.0.1:$port/metrics" > "$METRICS"
