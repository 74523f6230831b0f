#!/usr/bin/env bash
# Fetches the real servers that the tests of notifications talk to, into target/services: Alertmanager from Debian
# (unpacked, not installed, so that nothing starts as a service) and aiosmtpd from PyPI in an environment of its own.
# Does nothing where they are there; where they cannot be had, says so, and `cargo test` says what it skips.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p target/services
cd target/services
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

alertmanager() {
    command -v prometheus-alertmanager >/dev/null && return
    [ -x alertmanager/usr/bin/prometheus-alertmanager ] && return
    command -v apt-get >/dev/null || return
    apt-get download -qq prometheus-alertmanager 2>/dev/null ||
        { root apt-get update -qq && apt-get download -qq prometheus-alertmanager; } || return
    dpkg-deb -x prometheus-alertmanager_*.deb alertmanager && rm -f prometheus-alertmanager_*.deb
}

aiosmtpd() {
    [ -x venv/bin/python ] && venv/bin/python -c 'import aiosmtpd' 2>/dev/null && return
    command -v python3 >/dev/null && python3 -c 'import ensurepip' 2>/dev/null ||
        { root apt-get update -qq && root apt-get install -y -qq python3-venv >/dev/null; } || return
    python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check 'aiosmtpd==1.4.6'
}

for service in alertmanager aiosmtpd; do
    $service >/dev/null 2>setup.log || echo "$service cannot be fetched; its tests are skipped: $(tail -n 1 setup.log)"
done
[ -x alertmanager/usr/bin/prometheus-alertmanager ] || command -v prometheus-alertmanager >/dev/null ||
    echo "there is no prometheus-alertmanager; its tests are skipped"
