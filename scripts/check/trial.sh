# The end of `scripts/trial.sh --check`, which sources it: feeds the month and checks what came of it at every end.
failed=0
ok() { echo "ok: $*"; }
wrong() { echo "WRONG: $*" >&2; failed=1; }
metric() { get "http://127.0.0.1:$http/metrics" | awk -v name="$1" '$1 ~ "^" name { sum += $2 } END { printf "%d\n", sum }'; }

feed
events=$(cat "$work"/month/day.* | wc -l)
[ "$(metric 'fiscwatch_events_total.*accepted')" = "$events" ] && ok "$events events accepted" || wrong "not all events are accepted"
[ "$(metric fiscwatch_quarantined_total)" = 62 ] && ok "62 records in quarantine" || wrong "the quarantine lacks some"
[ "$(metric fiscwatch_duplicates_total)" = 93 ] && ok "93 duplicates" || wrong "duplicates are not told"
findings=$(metric fiscwatch_rule_findings_total)
[ "$findings" -gt 0 ] && ok "$findings findings" || wrong "nothing was found"

# Reload, and metrics as Prometheus wants them.
kill -HUP "$daemon"
get -X POST "http://127.0.0.1:$http/-/reload" >/dev/null && ok "reloaded" || wrong "the reload failed"
if get "http://127.0.0.1:$http/metrics" | "$promtool" check metrics >"$work/promtool.log" 2>&1; then
    ok "promtool finds the metrics in order"
else
    wrong "promtool: $(cat "$work/promtool.log")"
fi

# What is due has left the outbox; what is muted or waits for the digest stays.
nothing_is_due() { [ "$(metric fiscwatch_outbox_oldest_age_seconds)" = 0 ] && [ "$(metric 'fiscwatch_notifications_total.*accepted')" -gt 0 ]; }
until_true nothing_is_due
ok "$(metric 'fiscwatch_notifications_total.*accepted') notifications accepted"
if [[ $names == *alertmanager* ]]; then
    alerts=$(get "http://127.0.0.1:$am/api/v2/alerts" | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))')
    [ "$alerts" -gt 0 ] && ok "Alertmanager has $alerts alerts" || wrong "Alertmanager has no alert"
fi

# One payment from its arrival to the mail, as docs/operations.md says.
if [[ $names == *mail* ]]; then
    mails=$(find "$work/mail/new" -type f | wc -l)
    [ "$mails" -gt 0 ] && ok "$mails mails" || wrong "no mail arrived"
    last=mail
else
    last=screen
fi
# Some findings are muted by a graver one: take the first that was told.
followed=no
for event in $(sed -n 's/.* finding .*subject="\([^":]*\)" .*alert=.*/\1/p' "$work/fiscwatch.log"); do
    scripts/follow.sh "$event" <"$work/fiscwatch.log" >"$work/follow.log"
    if grep -q "notified.*$last" "$work/follow.log"; then
        followed=$event
        break
    fi
done
[ "$followed" != no ] && ok "event $followed is followed to $last" || wrong "no event can be followed to $last"

# Officers at work: a few alerts go all the way, one is dismissed.
officer() { "$binary" alerts "$@" --by trial >/dev/null || wrong "alerts $1"; }
open_ids() { "$binary" alerts list --state open --json | python3 -c 'import json,sys; print(*[json.loads(l)["alert_id"] for l in sys.stdin][:4])'; }
read -r -a ids < <(open_ids)
officer ack "${ids[@]}"
officer confirm "${ids[@]:0:3}" --why "the contract is missing"
officer dismiss "${ids[3]}" --why "an old contract"
officer rectify "${ids[@]:0:2}" --why "the money is paid back"
officer close "${ids[0]}" --outcome money_returned --amount 100.00 --why "done"
ok "officers acknowledged 4 alerts, confirmed 3, dismissed 1 and closed 1"

# Dashboards: every query of every panel has data, once Prometheus has seen what the officers did.
seen() {
    local query='sum(rate(fiscwatch_alert_acknowledge_seconds_count[2m])) > 0 and sum(rate(fiscwatch_alert_close_seconds_count[2m])) > 0'
    get -G --data-urlencode "query=$query" "http://127.0.0.1:$prom/api/v1/query" | grep -q '"value"'
}
until_true seen
svg=()
[ -z "${SVG:-}" ] || svg=(--svg "$SVG")
# There is no Kafka here, so nothing lags behind it.
absent=fiscwatch_source_lag_records
python3 scripts/check/panels.py --prometheus "http://127.0.0.1:$prom" --dashboards config/grafana/dashboards \
    --minutes 2 --absent "$absent" "${svg[@]}" || failed=1

# Rules are loaded and evaluate; the daemon is well.
firing=$(get "http://127.0.0.1:$prom/api/v1/rules" | python3 -c '
import json, sys
rules = [r for g in json.load(sys.stdin)["data"]["groups"] for r in g["rules"]]
print(*[r["name"] + " " + r["health"] for r in rules if r["health"] == "err" or r["name"] in ("FiscwatchDown", "FiscwatchOutboxOld") and r["state"] != "inactive"])')
[ -z "$firing" ] && ok "Prometheus' rules are well" || wrong "Prometheus' rules: $firing"

# The end: everything is committed, and a backtest of the same events finds the same.
kill -TERM "$daemon"
wait "$daemon" && ok "stopped with code 0" || wrong "the daemon ended with code $?"
grep -E 'ERROR|panicked' "$work/fiscwatch.log" && wrong "the log has errors"
exit $failed
