#!/usr/bin/env bash
# The whole system on one machine in ten minutes, with nothing installed for good: Prometheus and Alertmanager (Debian's
# packages, unpacked), a mail server that keeps what it gets, and the daemon, fed with a simulated month at speed.
#
#     scripts/trial.sh            starts everything, says where to look, and ends with Ctrl-C
#     scripts/trial.sh --check    ends when the month is through, and checks what came of it (CI runs this)
#
# PAYMENTS=20000 sets the size of the month, SECONDS_A_DAY=1 its pace, TRIAL_BINARY the binary.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
check=no
case "${1:-}" in
    --check) check=yes ;;
    "") ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

die() { echo "trial: $*" >&2; exit 1; }
binary=${TRIAL_BINARY:-}
for candidate in target/release/fiscwatch target/debug/fiscwatch; do
    [ -n "$binary" ] || { [ -x "$candidate" ] && binary=$candidate; }
done
[ -n "$binary" ] || die "there is no binary: run 'cargo build --release' first"
binary=$(realpath "$binary")

# Only what the trial itself runs, and nothing is installed: it is unpacked below target/.
echo "fetched into target/ where they are missing: Prometheus, Alertmanager (Debian's packages), aiosmtpd (PyPI);"
echo "outside of it one link is made, /usr/share/prometheus/alertmanager, where Alertmanager looks for its templates"
scripts/setup/ops.sh prometheus
scripts/setup/services.sh alertmanager aiosmtpd
found() { command -v "$1" || { [ -x "$2" ] && echo "$root/$2"; } || true; }
prometheus=$(found prometheus target/ops/prometheus/usr/bin/prometheus)
promtool=$(found promtool target/ops/prometheus/usr/bin/promtool)
alertmanager=$(found prometheus-alertmanager target/services/prometheus-alertmanager/usr/bin/prometheus-alertmanager)
mailer=target/services/venv/bin/python
[ -n "$prometheus" ] || die "skipped: there is no Prometheus, and it cannot be fetched"

work=target/trial
[ "$check" = no ] || work=target/trial-check
rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")

# Fixed ports for people, free ones for a check that may run beside others.
if [ "$check" = yes ]; then
    read -r http prom am smtp < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(4)]
[s.bind(("127.0.0.1", 0)) for s in sockets]
print(*[s.getsockname()[1] for s in sockets])')
    payments=${PAYMENTS:-8000} pace=${SECONDS_A_DAY:-0.7} scrape=1s
else
    http=9464 prom=9090 am=9093 smtp=2525
    payments=${PAYMENTS:-20000} pace=${SECONDS_A_DAY:-3} scrape=5s
fi

pids=()
finish() {
    status=$?
    trap - EXIT
    [ ${#pids[@]} -eq 0 ] || { kill "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM
start() {
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    pids+=($!)
}
# Waits for a condition: until COMMAND…
until_true() {
    for _ in $(seq 600); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    die "waited in vain for: $* (logs are in $work)"
}
get() { curl -fsS --max-time 30 "$@"; }

# The services.
sed "s/15s/$scrape/; s/127.0.0.1:9464/127.0.0.1:$http/; s/127.0.0.1:9093/127.0.0.1:$am/" config/prometheus/prometheus.yaml >"$work/prometheus.yaml"
cp config/prometheus/fiscwatch.rules.yaml "$work/"
start prometheus "$prometheus" --config.file="$work/prometheus.yaml" --storage.tsdb.path="$work/prometheus" \
    --web.listen-address="127.0.0.1:$prom" --log.level=warn
sinks="  - { name: screen, log: {} }" names="screen"
if [ -n "$alertmanager" ]; then
    printf 'route: { receiver: nobody, group_by: [alertname, severity] }\nreceivers: [{ name: nobody }]\n' >"$work/alertmanager.yaml"
    start alertmanager "$alertmanager" --config.file="$work/alertmanager.yaml" --storage.path="$work/alertmanager" \
        --web.listen-address="127.0.0.1:$am" --cluster.listen-address= --log.level=warn
    sinks+=$'\n'"  - { name: alertmanager, alertmanager: { urls: [\"http://127.0.0.1:$am\"] } }" names+=", alertmanager"
else
    echo "skipped: Alertmanager cannot be fetched"
fi
if [ -x "$mailer" ]; then
    start mail "$mailer" -m aiosmtpd --nosetuid --listen "127.0.0.1:$smtp" --class aiosmtpd.handlers.Mailbox "$work/mail"
    sinks+=$'\n'"  - name: mail
    email: { servers: [\"127.0.0.1:$smtp\"], security: plain, from: fiscwatch@treasury.example, to: [officer@treasury.example] }" names+=", mail"
else
    echo "skipped: the mail server (aiosmtpd) cannot be fetched"
fi

# The month: the last whole one, so that every time is in the past.
month=$(date -d "$(date +%Y-%m-01) -1 month" +%Y-%m-01)
"$binary" generate --payments "$payments" --units 60 --start "$month" --days 31 --anomalies --out "$work/month" >"$work/generate.log" 2>&1

# The configuration.
cat >"$work/fiscwatch.yaml" <<YAML
# Lines that are appended to this file are read too.
sources: [{ name: feed, file: { path: feed.jsonl, follow: true } }]
state: { dir: state, checkpoint_events: 1000 }
rules:
  paths: [$root/rules]
  overrides: { off-hours: { mode: shadow } }
lists:
$(for list in "$work"/month/lists/*.csv; do echo "  $(basename "$list" .csv): { path: $list }"; done)
alerts:
  # What is least urgent waits for the morning that never comes, so that there is something to see.
  quiet_hours: [{ name: low, match: ['severity="low"'], time: "00:00-23:59" }]
external_url: http://127.0.0.1:$http
sinks:
$sinks
routes:
  sinks: [$names]
  group_by: [rule]
  group_wait: 1s
  group_interval: 5s
http: { listen: "127.0.0.1:$http" }
YAML
touch "$work/feed.jsonl"
export FISCWATCH_CONFIG=$work/fiscwatch.yaml
"$binary" check >/dev/null
start fiscwatch "$binary" run
daemon=${pids[-1]}
until_true get "http://127.0.0.1:$http/-/ready"
until_true get "http://127.0.0.1:$prom/-/ready"

where() {
    cat <<TEXT

  metrics         http://127.0.0.1:$http/metrics
  status          http://127.0.0.1:$http/api/v1/status
  findings        http://127.0.0.1:$http/api/v1/findings
  Prometheus      http://127.0.0.1:$prom/graph
  alerts on the daemon itself: http://127.0.0.1:$prom/alerts
TEXT
    [ -z "$alertmanager" ] || echo "  Alertmanager    http://127.0.0.1:$am"
    [ ! -x "$mailer" ] || echo "  mails           $work/mail/new"
    cat <<TEXT
  logs            $work/*.log
  more events     append them to $work/feed.jsonl
  balances        FISCWATCH_CONFIG=$FISCWATCH_CONFIG $binary budget top
TEXT
}

# A day after the other; some lines are broken, some come twice.
feed() {
    split -d -n l/31 "$work/month/events.jsonl" "$work/month/day."
    local day
    for day in "$work"/month/day.*; do
        { cat "$day"; head -n 3 "$day"; printf 'this is no record\n{"event_id":"broken-%s","type":"payment"}\n' "${day##*.}"; } |
            get --data-binary @- "http://127.0.0.1:$http/api/v1/events" >/dev/null
        sleep "$pace"
    done
}

if [ "$check" = no ]; then
    where
    echo; echo "feeding the month of $month: $payments payments"
    feed
    curl -fsS "http://127.0.0.1:$http/api/v1/status"
    where
    echo; echo "Ctrl-C ends everything; $work keeps what came of it"
    wait "$daemon"
    exit
fi

source scripts/check/trial.sh
