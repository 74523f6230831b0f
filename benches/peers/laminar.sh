#!/usr/bin/env bash
# Two windows over the same year by `fiscwatch backtest` and by LaminarDB 0.33 in its own process: a day by unit and account, and
# an hour by region that begins anew every minute. No time is told unless they find the same. LaminarDB comes from
# crates.io into target/peers and is built there, which takes a while; it is pushed payments that are in memory already,
# while fiscwatch decodes a file and keeps the ledger.
# benches/peers/laminar.sh [PAYMENTS] [TURNS]
set -euo pipefail
cd "$(dirname "$0")/../.."
payments=${1:-300000}
turns=${2:-1}
binary=${PEERS_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
cargo build --quiet --release --locked --manifest-path benches/peers/laminar/Cargo.toml --target-dir target/peers/laminar
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$binary" generate --payments "$payments" --units 1000 --seed 11 --out "$work" > /dev/null
python3 benches/peers/laminar.py "$work" "$binary" target/peers/laminar/release/laminar-peer "$turns"
