#!/usr/bin/env bash
# Attacks on a daemon of its own, one after another: what held, what was refused, how much memory it took at most. Prints
# a table as in docs/security.md. Needs python3 and about 4 GiB for the attacker.
# scripts/measure/attacks.sh [GROUPS]          how many alerts wait for a receiver that is gone (100000)
# ATTACKS_BINARY=target/debug/fiscwatch takes another binary; ATTACKS="bodies heads" runs only these.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=${ATTACKS_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
ulimit -n 8192 2> /dev/null || true
exec python3 scripts/measure/attacks.py "$binary" "${1:-100000}" ${ATTACKS:-bodies heads readers windows database receiver flood}
