#!/usr/bin/env bash
# Gets the real servers that tests of notifications talk to, into target/services: Alertmanager (Debian's package,
# unpacked) and aiosmtpd (PyPI, in an environment of its own). setup/services.sh [alertmanager|aiosmtpd]…
# It does nothing where they are there. Where one cannot be had it says so, and `cargo test` says what it skips.
set -uo pipefail
cd "$(dirname "$0")/../.."
. scripts/setup/fetch.sh
services=$PWD/target/services

# Debian's Alertmanager looks for its templates in one place only; a link leads from there to what is unpacked.
get_alertmanager() {
    local templates=usr/share/prometheus/alertmanager
    (unpack "$services" prometheus-alertmanager usr/bin/prometheus-alertmanager) || return
    [ -e "/$templates/default.tmpl" ] && return
    root mkdir -p "$(dirname "/$templates")" && root ln -sfn "$services/prometheus-alertmanager/$templates" "/$templates"
}
get_aiosmtpd() { "$services/venv/bin/python" -c 'import aiosmtpd' || venv "$services/venv" aiosmtpd==1.4.6; }

[ $# -gt 0 ] || set -- alertmanager aiosmtpd
fetch "$services/setup.log" "$@"
