#!/usr/bin/env bash
# Fetches what checks the operations side, into target/ops: Prometheus with promtool, mandoc (Debian's packages,
# unpacked), Grafana's types and TypeScript (npm); and installs systemd's analyser and rpm's tools.
# setup/ops.sh [prometheus|mandoc|grafana_types|systemd_analyze|rpm_tools]… fetches only those.
# It does nothing where they are there. Where one cannot be had it says so, and scripts/check/ops.sh says what it skips.
set -uo pipefail
cd "$(dirname "$0")/../.."
. scripts/setup/fetch.sh
ops=$PWD/target/ops

get_prometheus() { unpack "$ops" prometheus usr/bin/prometheus; }
get_mandoc() { unpack "$ops" mandoc usr/bin/mandoc; }

get_grafana_types() {
    # As written in config/grafana/source/package.json; again when it changes.
    cmp -s config/grafana/source/package.json "$ops/grafana/.installed" && return
    command -v npm >/dev/null || { root apt-get update -qq && root apt-get install -y -qq npm; } || return
    mkdir -p "$ops/grafana" && cp config/grafana/source/package.json "$ops/grafana/" && cd "$ops/grafana" &&
        npm install --silent --no-audit --no-fund --ignore-scripts && cp package.json .installed
}

# Installs a Debian package for a program: install PROGRAM PACKAGE
install() {
    command -v "$1" >/dev/null && return
    root apt-get install -y -qq --no-install-recommends "$2" ||
        { root apt-get update -qq && root apt-get install -y -qq --no-install-recommends "$2"; }
}
get_systemd_analyze() { install systemd-analyze systemd; }
get_rpm_tools() { install rpmbuild rpm; }

[ $# -gt 0 ] || set -- prometheus mandoc grafana_types systemd_analyze rpm_tools
fetch "$ops/setup.log" "$@"
