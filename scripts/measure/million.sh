#!/usr/bin/env bash
# A million payments through `backtest` and through `run`, with several batch sizes: the same findings, the same ledger.
# scripts/measure/million.sh [PAYMENTS] [RULES]
set -euo pipefail
cd "$(dirname "$0")/../.."
payments=${1:-1000000}
binary=$PWD/target/release/fiscwatch
[ -x "$binary" ] || cargo build --release --locked
config=$PWD/config/fiscwatch.yaml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$binary" generate --payments "$payments" --anomalies --out "$work/data"
events=$work/data/events.jsonl

for rows in 65536 1000 7 1; do
    echo "== backtest --batch-rows $rows"
    "$binary" backtest --config "$config" --events "$events" --batch-rows "$rows" \
        --findings "$work/findings-$rows" --ledger "$work/ledger-$rows" 2>&1 | tail -1
    cmp "$work/findings-$rows" "$work/findings-65536"
    cmp "$work/ledger-$rows" "$work/ledger-65536"
done

# Commits are grouped, so that even a row a batch does not cost a fsync a row.
for rows in 65536 1000 7 1; do
    echo "== run with batch_rows $rows"
    export FISCWATCH_STATE__DIR=$work/state-$rows FISCWATCH_ENGINE__BATCH_ROWS=$rows FISCWATCH_HTTP__LISTEN=127.0.0.1:0
    export FISCWATCH_LOG__LEVEL=warn
    export FISCWATCH_SOURCES="[{\"name\":\"feed\",\"file\":{\"path\":\"$events\"}}]"
    /usr/bin/env time -f '%e s, %M KiB' "$binary" run --once --config "$config"
    "$binary" budget export --config "$config" > "$work/run-ledger"
    cmp "$work/run-ledger" "$work/ledger-65536"
    "$binary" findings export --config "$config" > "$work/run-findings"
    cmp "$work/run-findings" "$work/findings-65536"
done
echo "identical: $(wc -l < "$work/findings-65536") findings, $(wc -l < "$work/ledger-65536") budget lines"
