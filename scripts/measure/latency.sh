#!/usr/bin/env bash
# How long an event takes from the daemon's reading it to the mail server's acceptance of its mail: one event after
# another over HTTP, each an alert of its own, mails to aiosmtpd on this machine, group_wait 0.
# scripts/measure/latency.sh [EVENTS] [EVENTS_A_SECOND]
set -euo pipefail
cd "$(dirname "$0")/../.."
events=${1:-1000}
rate=${2:-50}
scripts/setup/services.sh > /dev/null
binary=${LATENCY_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
python=$PWD/target/services/venv/bin/python
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT

port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
http=$(port)
smtp=$(port)
cat > "$work/rules.yaml" <<END
rules:
  - { id: each, title: each, severity: high, trigger: payment, when: 1 = 1, key: [event_id] }
END
cat > "$work/fiscwatch.yaml" <<END
rules: { paths: [rules.yaml] }
state: { dir: state }
http: { listen: "127.0.0.1:$http" }
log: { level: warn }
sinks: [{ name: mail, email: { servers: ["127.0.0.1:$smtp"], security: plain, from: f@example.cn, to: [o@example.cn] } }]
routes: { group_wait: 0s }
alerts: { storm: { notifications: 1000000, window: 1m } }
END
"$python" -m aiosmtpd --nosetuid --listen "127.0.0.1:$smtp" --class aiosmtpd.handlers.Sink &
(cd "$work" && exec "$binary" run --config fiscwatch.yaml) &
daemon=$!
until curl -sf "http://127.0.0.1:$http/-/ready" > /dev/null; do
  kill -0 "$daemon" 2> /dev/null || { echo "latency: the daemon did not start" >&2; exit 1; }
  sleep 0.1
done

"$python" - "$http" "$events" "$rate" <<'END'
import json, re, sys, time, urllib.request
http, events, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
base = f"http://127.0.0.1:{http}"
event = {"type": "payment", "occurred_at": "2026-03-04", "budget_line_id": "L1", "fiscal_year": 2026, "region_code": "1",
         "unit_code": "1", "function_code": "1", "economic_code": "1", "payment_mode": "direct", "settlement": "transfer",
         "payee_name": "x", "payee_account": "1", "payee_type": "entity", "amount": "1.00"}
answers = []
began = time.monotonic()
for n in range(events):
    time.sleep(max(0, began + n / rate - time.monotonic()))
    body = json.dumps(event | {"event_id": f"e{n}"}).encode()
    asked = time.monotonic()
    urllib.request.urlopen(urllib.request.Request(base + "/api/v1/events", body)).read()
    answers.append(time.monotonic() - asked)
pattern = re.compile(r'fiscwatch_alert_delivery_seconds_(bucket|count)\{(?:le="([^"]+)",)?sink="mail"(?:,le="([^"]+)")?\} (\d+)')
while True:
    metrics = urllib.request.urlopen(base + "/metrics").read().decode()
    found = pattern.findall(metrics)
    count = max((int(n) for kind, _, _, n in found if kind == "count"), default=0)
    if count == events:
        break
    time.sleep(0.2)
answers.sort()
at = lambda share: answers[min(len(answers) - 1, int(share * len(answers)))] * 1000
print(f"request to answer (durable commit): p50 {at(.5):.1f} ms, p99 {at(.99):.1f} ms")
print("event read to mail accepted:", ", ".join(
    f"{int(n) / count:.1%} within {float(a or b) * 1000:.0f} ms" for kind, a, b, n in found
    if kind == "bucket" and (a or b) != "+Inf" and float(a or b) <= 1))
END
