#!/usr/bin/env bash
# Gets the real servers that the tests of notifications talk to: Alertmanager from Debian (without starting it) and
# aiosmtpd from PyPI in an environment of its own, target/services/venv. Does nothing where they are there; where they
# cannot be had it says so, and `cargo test` says what it skips.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p target/services
cd target/services
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
install() { root apt-get install -y -qq --no-install-recommends "$@" || { root apt-get update -qq && root apt-get install -y -qq --no-install-recommends "$@"; }; }

alertmanager() {
    command -v prometheus-alertmanager && return
    # Debian starts what it installs, unless this file says no.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | root tee $policy && root chmod 755 $policy && made=1
    fi
    install prometheus-alertmanager
    [ -z "$made" ] || root rm -f $policy
    command -v prometheus-alertmanager
}

aiosmtpd() {
    [ -x venv/bin/python ] && venv/bin/python -c 'import aiosmtpd' && return
    command -v python3 && python3 -c 'import ensurepip' || install python3-venv || return
    python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check 'aiosmtpd==1.4.6'
}

for service in alertmanager aiosmtpd; do
    $service >setup.log 2>&1 || echo "$service cannot be installed, so its tests are skipped: $(tail -n 1 setup.log)"
done
