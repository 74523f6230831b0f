#!/usr/bin/env bash
# Windows of an hour, one after another and every minute, over the same year by `fiscwatch backtest` and by LaminarDB 0.33. They
# must find the same before anything is timed. LaminarDB gets the payments alone, in order and from memory, and its time begins
# with the first of them; fiscwatch is timed from its start on, reads all events of the year in Parquet and keeps the ledger.
# The first run builds LaminarDB and what it needs in target/peers/laminar, which takes a while.
# benches/peers/laminar.sh [PAYMENTS] [TURNS]
set -euo pipefail
cd "$(dirname "$0")/../.."
payments=${1:-1000000}
turns=${2:-3}
binary=${PEERS_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
cargo build --release --locked --quiet --manifest-path benches/peers/laminar/Cargo.toml --target-dir target/peers/laminar
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$binary" generate --payments "$payments" --units 1000 --seed 11 --out "$work" > /dev/null
python3 benches/peers/laminar.py "$work" "$binary" target/peers/laminar/release/laminar-peer "$turns"
