#!/usr/bin/env bash
# Kills the whole daemon N times at random moments, under load: a file that is followed, events posted over HTTP and
# answered, checkpoints and sealing all the time. Prints kills, lost and repeated findings, and differences in the ledger.
# scripts/measure/kills.sh [KILLS] [SEED]
set -euo pipefail
cd "$(dirname "$0")/../.."
export FISCWATCH_TEST_KILLS=${1:-1000} FISCWATCH_TEST_SEED=${2:-1}
built=$(cargo test --locked --test integration --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"name":"integration".*"executable":"\([^"]*\)".*/\1/p' | tail -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Copies, so that a build in the meantime changes nothing.
cp "$built" "$work/integration"
cp target/debug/fiscwatch "$work/fiscwatch"
export TEST_BINARY=$work/fiscwatch
"$work/integration" --exact faults::kills::killed_under_load_it_loses_and_repeats_nothing --nocapture
