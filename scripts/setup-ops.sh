#!/usr/bin/env bash
# Fetches what checks the operations side, into target/ops: Prometheus with promtool (Debian's package, unpacked, so that
# nothing starts as a service), mandoc, and Grafana's types and TypeScript from npm; and installs systemd's analyser.
# Does nothing where they are there; where one cannot be had, says so, and scripts/check-ops.sh says what it skips.
set -uo pipefail
cd "$(dirname "$0")/.."
ops=$PWD/target/ops
mkdir -p "$ops"
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Unpacks a Debian package: unpack PACKAGE BINARY
unpack() {
    command -v "$2" >/dev/null && return
    [ -x "$ops/$1/usr/bin/$2" ] && return
    cd "$ops" || return
    apt-get download -qq "$1" || { root apt-get update -qq && apt-get download -qq "$1"; } || return
    dpkg-deb -x "$1"_*.deb "$1" && rm -f "$1"_*.deb
}

get_prometheus() { unpack prometheus promtool; }
get_mandoc() { unpack mandoc mandoc; }

get_grafana_types() {
    # As written in config/grafana/source/package.json; again when it changes.
    cmp -s config/grafana/source/package.json "$ops/grafana/.installed" && return
    command -v npm >/dev/null || { root apt-get update -qq && root apt-get install -y -qq npm; } || return
    mkdir -p "$ops/grafana" && cp config/grafana/source/package.json "$ops/grafana/" && cd "$ops/grafana" &&
        npm install --silent --no-audit --no-fund --ignore-scripts && cp package.json .installed
}

get_systemd_analyze() {
    command -v systemd-analyze >/dev/null && return
    root apt-get update -qq && root apt-get install -y -qq --no-install-recommends systemd
}

for part in prometheus mandoc grafana_types systemd_analyze; do
    ("get_$part") >"$ops/setup.log" 2>&1 || echo "$part cannot be fetched; its checks are skipped: $(tail -n 1 "$ops/setup.log")"
done
