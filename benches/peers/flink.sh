#!/usr/bin/env bash
# Three rules over the same year by `fiscwatch backtest` and by Flink SQL, two slots, in event time: a row, 30 days before each
# payment, and a day's window. They must find the same before anything is timed. Flink's start is measured with one payment,
# and taken off. Flink comes from PyPI into target/peers; it needs Java 11 or 17.
# benches/peers/flink.sh [PAYMENTS] [TURNS]
set -euo pipefail
cd "$(dirname "$0")/../.."
payments=${1:-1000000}
turns=${2:-3}
binary=${PEERS_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
command -v java > /dev/null || { echo "Flink needs Java 11 or 17: install openjdk-17-jre-headless" >&2; exit 1; }
. scripts/setup/fetch.sh
venv "$PWD/target/peers/flink" 'apache-flink==2.1.0'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$binary" generate --payments "$payments" --units 1000 --seed 11 --out "$work" > /dev/null
mkdir "$work/rules"
cp benches/peers/rules.yaml "$work/rules/"
target/peers/flink/bin/python benches/peers/flink.py "$work" "$binary" "$turns"
