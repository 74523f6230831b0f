#!/bin/sh
# Installs a built fiscwatch as a service: systemd/install.sh [DESTDIR]. With DESTDIR nothing of the running
# system is touched.
set -eu
cd "$(dirname "$0")/.."
root=${1:-}
# In the archive that is handed out the binary stands beside; in a checkout it is built.
[ -x ./fiscwatch ] && built=./fiscwatch || built=target/release/fiscwatch
binary=${FISCWATCH_BINARY:-$built}
[ -x "$binary" ] || { echo "there is no $binary: run 'cargo build --release' first" >&2; exit 1; }
install -D -m 0755 "$binary" "$root/usr/bin/fiscwatch"
install -D -m 0644 systemd/fiscwatch.service "$root/usr/lib/systemd/system/fiscwatch.service"
install -D -m 0644 systemd/fiscwatch-drill.service "$root/usr/lib/systemd/system/fiscwatch-drill.service"
install -D -m 0644 systemd/fiscwatch-drill.timer "$root/usr/lib/systemd/system/fiscwatch-drill.timer"
install -D -m 0644 systemd/fiscwatch.sysusers "$root/usr/lib/sysusers.d/fiscwatch.conf"
install -d "$root/usr/share/doc/fiscwatch"
install -m 0644 README.md README.zh.md "$root/usr/share/doc/fiscwatch/"
# A binary knows its own manual and what a shell can complete; one for another machine is asked through one that runs here.
manual=${FISCWATCH_MANUAL:-$binary}
install -d "$root/usr/share/man/man1" "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" \
    "$root/usr/share/fish/vendor_completions.d"
"$manual" man --out "$root/usr/share/man/man1"
gzip -9nf "$root/usr/share/man/man1"/fiscwatch*.1
"$manual" completions bash >"$root/usr/share/bash-completion/completions/fiscwatch"
"$manual" completions zsh >"$root/usr/share/zsh/vendor-completions/_fiscwatch"
"$manual" completions fish >"$root/usr/share/fish/vendor_completions.d/fiscwatch.fish"
# A configuration that is there is somebody's work: it stays.
if [ ! -e "$root/etc/fiscwatch/fiscwatch.yaml" ]; then
    install -d -m 0755 "$root/etc/fiscwatch"
    sed 's|\.\./state|/var/lib/fiscwatch|; s|\[\.\./rules\]|[rules]|' config/fiscwatch.yaml > "$root/etc/fiscwatch/fiscwatch.yaml"
    cp -r config/lists "$root/etc/fiscwatch/lists"
    cp -r rules "$root/etc/fiscwatch/rules"
fi
if [ -z "$root" ] && command -v systemctl >/dev/null; then
    systemd-sysusers
    systemctl daemon-reload
    echo "installed; start it with: systemctl enable --now fiscwatch"
fi
