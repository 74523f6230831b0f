#!/usr/bin/env bash
# The console: its types against the daemon's own description, its build against what is committed, and what people do with it
# in a real browser. With --pictures it takes the pictures of the documentation instead.
set -euo pipefail
cd "$(dirname "$0")/../.."
BINARY="$PWD/target/debug/fiscwatch"
export BINARY
[ -x "$BINARY" ] || { echo "console: $BINARY is missing; run \`cargo build\`" >&2; exit 1; }

need() { command -v "$1" >/dev/null; }
if ! need node || ! need npm || ! need chromium || ! fc-list :lang=zh 2>/dev/null | grep -q .; then
    if need apt-get && [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk fontconfig $(need npm || echo nodejs npm) >/dev/null
    elif [ "${SERVICES_REQUIRED:-}" = 1 ]; then
        echo "console: node, npm and chromium are needed" >&2
        exit 1
    else
        echo "console: skipped, node, npm or chromium is not there"
        exit 0
    fi
fi

cd console
# The lock file is the word; nothing runs at installation.
npm ci --ignore-scripts --no-fund --no-audit --loglevel=error
if [ "${1:-}" = --pictures ]; then exec node tests/pictures.mjs; fi

port=$((20000 + RANDOM % 20000))
"$BINARY" demo --listen "127.0.0.1:$port" --seconds 60 >/dev/null 2>&1 &
demo=$!
trap 'kill $demo 2>/dev/null || true' EXIT
for _ in $(seq 100); do curl -fs "http://127.0.0.1:$port/-/ready" >/dev/null && break; sleep 0.1; done
DAEMON="http://127.0.0.1:$port" npm run --silent types
kill $demo

npm run --silent check
npx prettier --check --log-level warn src tests tools
npm run --silent build -- --check
npm test --silent
