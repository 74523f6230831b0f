#!/usr/bin/env bash
# The shipped rules over real payments: those over £250/£500 that the Greater London Authority published for 2008 to
# 2013 (PDDL 1.0; columns pay_date, payee, amount, category). docs/rules.md shows the result.
#   scripts/measure/gla.sh CSV [OUT]
# What the data lacks is made up in a visible way by scripts/measure/gla.awk, which says how.
set -euo pipefail
csv=$(realpath "$1")
out=$(realpath -m "${2:-$(mktemp -d)}")
cd "$(dirname "$0")/../.."
binary=${FISCWATCH:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked

mkdir -p "$out/lists"
cp config/lists/*.csv "$out/lists"
# Grants to organisations are usual here.
echo '201:312,一般公共服务支出·对企业补助' >> "$out/lists/allowed_classes.csv"
{
    printf 'time_zone: Europe/London\nfiscal_year_start: 04-01\nlanguage: en\nlists:\n'
    for list in "$out"/lists/*.csv; do
        printf '  %s: { path: %s }\n' "$(basename "$list" .csv)" "$list"
    done
    # In the first year every payee would be new.
    printf 'rules: { paths: [%s], overrides: { new-or-dormant-payee: { params: { since: "2009-04-01" } } } }\n' "$PWD/rules"
} > "$out/fiscwatch.yaml"
# Twice over the same file: the first time sums up each year, for the budgets of the next.
awk -f scripts/measure/gla.awk "$csv" "$csv" > "$out/events.csv"
"$binary" backtest --config "$out/fiscwatch.yaml" --events "$out/events.csv" \
    --findings "$out/findings.jsonl" 2> "$out/backtest.txt" || { cat "$out/backtest.txt"; exit 1; }
tail -2 "$out/backtest.txt"

awk -v payments="$(grep -c ',payment,' "$out/events.csv")" '
    function field(name) { match($0, "\"" name "\":\"[^\"]*\""); return substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5) }
    field("mode") == "shadow" { next }
    {
        rule = field("rule_id"); handling = field("handling")
        digest = handling == "record" || handling == "remind"
        match($0, /"key":\{[^}]*\}/); key = rule substr($0, RSTART, RLENGTH)
        n[rule]++; how[rule] = handling; sum[digest]++
        if (!(key in seen)) { alerts[digest]++; own[rule]++ }
        seen[key] = 1
    }
    END {
        for (rule in n) printf "%-26s %-8s %6d findings %5d alerts %7.2f for 1,000 payments\n", rule, how[rule], n[rule], own[rule], 1000 * n[rule] / payments | "sort -k2,2 -k1,1"
        close("sort -k2,2 -k1,1")
        printf "of %d payments, live rules page for %d (%.2f for 1,000; %d alerts); %d findings (%.2f for 1,000; %d alerts) are for digests\n",
            payments, sum[0], 1000 * sum[0] / payments, alerts[0], sum[1], 1000 * sum[1] / payments, alerts[1]
    }' "$out/findings.jsonl"
echo "in $out"
