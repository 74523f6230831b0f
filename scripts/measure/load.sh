#!/usr/bin/env bash
# How long events take from their arrival to the commit of their findings, at a steady rate, with the shipped rules: a
# simulated stretch of days goes to POST /api/v1/events, which answers after the commit.
# scripts/measure/load.sh [EVENTS_A_SECOND] [SECONDS] [RULES]
# Latency counts from when a body was due, so a daemon that falls behind is not excused.
set -euo pipefail
cd "$(dirname "$0")/../.."
rate=${1:-20000}
seconds=${2:-20}
rules=$PWD/${3:-rules}
binary=${LOAD_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; wait 2> /dev/null || true; rm -rf "$work"' EXIT
# Budget lines are approved first, which takes as many events again.
"$binary" generate --payments "$((rate * seconds * 3 / 4))" --units 300 --days 120 --seed 3 --out "$work" > /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export FISCWATCH_HTTP__LISTEN=127.0.0.1:$port FISCWATCH_RULES__PATHS="[\"$rules\"]" FISCWATCH_STATE__DIR=$work/state
export FISCWATCH_LOG__LEVEL=warn
"$binary" run --config "$work/fiscwatch.yaml" &
daemon=$!
until curl -sf "http://127.0.0.1:$port/-/ready" > /dev/null; do
  kill -0 "$daemon" 2> /dev/null || { echo "load: the daemon did not start" >&2; exit 1; }
  sleep 0.1
done
python3 - "$port" "$rate" "$work/events.jsonl" <<'END'
import http.client, sys, time
port, rate, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
a_body = max(1, rate // 50)
with open(path, "rb") as file:
    lines = file.readlines()
bodies = [b"".join(lines[at:at + a_body]) for at in range(0, len(lines), a_body)]
connection = http.client.HTTPConnection("127.0.0.1", port)
late = []
began = time.monotonic()
for number, body in enumerate(bodies):
    due = began + number * a_body / rate
    time.sleep(max(0, due - time.monotonic()))
    connection.request("POST", "/api/v1/events", body)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    late.append(time.monotonic() - due)
took = time.monotonic() - began
late.sort()
at = lambda share: late[min(len(late) - 1, int(share * len(late)))] * 1000
print(f"{len(lines)} events in bodies of {a_body}, {len(lines) / took:.0f} a second: p50 {at(.5):.1f} ms, p99 {at(.99):.1f} ms, most {late[-1] * 1000:.1f} ms")
END
awk -v ticks="$(getconf CLK_TCK)" '{ printf "processor time of the daemon: %.1f s\n", ($14 + $15) / ticks }' "/proc/$daemon/stat"
awk '/VmHWM/ { printf "resident: %d MiB\n", $2 / 1024 }' "/proc/$daemon/status"
