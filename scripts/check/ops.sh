#!/usr/bin/env bash
# Checks what operators get: Prometheus' rules and their tests, the dashboards, the unit's sandbox, manual and
# completions, the archive and the packages. OPS_BINARY is the binary; what is missing is skipped with a line.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=${OPS_BINARY:-target/debug/fiscwatch}
scripts/setup/ops.sh
export PATH=$PWD/target/ops/prometheus/usr/bin:$PWD/target/ops/mandoc/usr/bin:$PATH
has() { command -v "$1" >/dev/null || { echo "skipped: there is no $1: $2"; return 1; }; }

if has promtool "Prometheus' rules are not checked"; then
    promtool check config --lint-fatal config/prometheus/prometheus.yaml >/dev/null
    (cd config/prometheus && promtool test rules fiscwatch.rules.test.yaml >/dev/null)
    echo "Prometheus: $(grep -c '^      - alert' config/prometheus/fiscwatch.rules.yaml) alerts, tested"
fi

if [ -x target/ops/grafana/node_modules/.bin/tsc ]; then
    cp config/grafana/source/* target/ops/grafana/
    mkdir -p target/ops/grafana/out
    (cd target/ops/grafana && node_modules/.bin/tsc && node build.js out)
    for dashboard in config/grafana/dashboards/*.json; do
        diff -q "$dashboard" "target/ops/grafana/out/$(basename "$dashboard")" >/dev/null || {
            echo "$dashboard is not what config/grafana/source makes: copy target/ops/grafana/out/*.json there" >&2
            exit 1
        }
    done
    echo "dashboards: $(find config/grafana/dashboards -name '*.json' | wc -l), typed by @grafana/schema"
else
    echo "skipped: there is no tsc: the dashboards' types are not checked"
fi

if has systemd-analyze "the unit is not checked"; then
    exposure=$(systemd-analyze security --offline=true --threshold=15 --no-pager "$PWD/systemd/fiscwatch.service" | tail -n 1) || {
        echo "the unit is too open: $exposure" >&2
        exit 1
    }
    echo "systemd: ${exposure#* }"
    # The same with what the example adds for the socket.
    open=$(mktemp -d)/fiscwatch.service
    sed 's/^PrivateUsers=yes/PrivateUsers=no/' systemd/fiscwatch.service >"$open"
    systemd-analyze security --offline=true --threshold=15 --no-pager "$open" >/dev/null || { echo "the unit with http.socket is too open" >&2; exit 1; }
    # The binary is not where the unit looks for it; anything else is a mistake.
    systemd-analyze verify --man=no "$PWD/systemd/fiscwatch.service" 2>&1 | grep -v 'is not executable' | grep fiscwatch && exit 1
fi

pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
"$binary" man --out "$pages"
if has mandoc "the manual is not checked"; then
    # Style is clap_mangen's affair.
    mandoc -T lint -W error "$pages"/*.1
fi
for shell in bash zsh fish; do
    "$binary" completions "$shell" >"$pages/$shell"
    ! command -v "$shell" >/dev/null || "$shell" -n "$pages/$shell"
done
echo "manual: $(find "$pages" -name '*.1' | wc -l) pages; completions for bash, zsh, fish"

if has dpkg "the Debian package is not checked"; then
    scripts/check/deb.sh "$binary"
fi
if has dpkg "what is handed out is not checked" && has rpmbuild "what is handed out is not checked"; then
    scripts/check/dist.sh "$binary"
fi
