#!/usr/bin/env bash
# Installs what the build needs beyond Rust: a C compiler, make and perl (SQLite, librdkafka, OpenSSL, zstd are
# built from source, statically). Does nothing where they are there.
set -euo pipefail
missing=()
for tool in cc make perl; do command -v "$tool" >/dev/null || missing+=("$tool"); done
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing a C compiler, make and perl (missing: ${missing[*]})"
    command -v apt-get >/dev/null || { echo "install a C compiler, make and perl with your package manager" >&2; exit 1; }
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq build-essential perl >/dev/null
fi
command -v cargo >/dev/null || { echo "install Rust first: https://rustup.rs" >&2; exit 1; }
# A Kafka broker for the tests.
"$(dirname "$0")/../../tests/kafka/setup.sh"
