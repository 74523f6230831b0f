#!/usr/bin/env bash
# Follows one event through the log, from its findings to its notifications: scripts/follow.sh EVENT_ID <LOG
#     journalctl -u fiscwatch -o cat | scripts/follow.sh P-2026-0001
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,3s/^# \{0,1\}//p' "$0"; exit 2; }
exec awk -v event="$1" '
function field(name,    at, rest) {             # name="value" or name=value, also as JSON
    if (!match($0, "\"?" name "\"?[=:] ?\"?[^\", ]+")) return ""
    rest = substr($0, RSTART, RLENGTH)
    sub("\"?" name "\"?[=:] ?\"?", "", rest)
    return rest
}
/finding/ && field("subject") == event { print; alert = field("alert"); if (alert) alerts[alert] = 1; next }
/notification/ && / ?alerts/ {
    for (alert in alerts) if (index($0, alert)) { print; sent[field("notification")] = 1; next }
}
{ for (id in sent) if (id && index($0, id)) { print; next } }
'
