#!/usr/bin/env bash
# Installs, upgrades, removes and purges the Debian package in a scratch root: check-deb.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "Debian package: $*" >&2; exit 1; }

# Symbols would take most of the time to pack.
strip -o "$work/fiscwatch" "$binary"
build() { FISCWATCH_BINARY=$work/fiscwatch DEB_VERSION=$1 DEB_COMPRESSION=-Zgzip\ -z1 scripts/release/deb.sh "$work"; }
old=$(build 0.0.1-1)
# The next version ships another configuration and other rules, as releases do.
mkdir "$work/next"
cp -r README*.md LICENSE CHANGELOG.md Cargo.toml docs config rules systemd scripts packaging "$work/next/"
for file in config/fiscwatch.yaml rules/budget.yaml; do echo '# Said by the next version.' >>"$work/next/$file"; done
cd "$work/next"
new=$(build 0.0.2-1)

root=$work/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/etc" "$root/usr/lib"
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
# The dependencies are those of this machine, whose programs run the scripts.
package() { dpkg --root="$root" --force-script-chrootless --force-depends --force-not-root --force-bad-path --force-confdef --force-confold "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "dpkg $1 failed"; }; }
there() { [ -e "$root/$1" ] || die "$1 is not there after $2"; }
gone() { [ ! -e "$root/$1" ] || die "$1 is still there after $2"; }

package --install "$old"
for file in usr/bin/fiscwatch usr/lib/systemd/system/fiscwatch.service etc/fiscwatch/fiscwatch.yaml etc/fiscwatch/rules/budget.yaml \
    etc/fiscwatch/secrets usr/share/man/man1/fiscwatch.1.gz usr/share/bash-completion/completions/fiscwatch \
    usr/share/doc/fiscwatch/README.zh.md usr/share/doc/fiscwatch/docs/zh/operations.md; do
    there "$file" "the installation"
done
command -v systemd-sysusers >/dev/null && { grep -q '^fiscwatch:' "$root/etc/passwd" || die "there is no user fiscwatch"; }
FISCWATCH_STATE__DIR=$work/state "$root/usr/bin/fiscwatch" check --config "$root/etc/fiscwatch/fiscwatch.yaml" >/dev/null || die "the installed configuration is not in order"

# An administrator's work survives an upgrade, and the state everything.
sed -i 's/^language: zh/language: en/' "$root/etc/fiscwatch/fiscwatch.yaml"
mkdir -p "$root/var/lib/fiscwatch"
touch "$root/var/lib/fiscwatch/fiscwatch.db"
package --install "$new"
grep -q '^language: en' "$root/etc/fiscwatch/fiscwatch.yaml" || die "the upgrade took the administrator's configuration"
! grep -q 'next version' "$root/etc/fiscwatch/fiscwatch.yaml" || die "the upgrade changed the administrator's configuration"
grep -q 'next version' "$root/etc/fiscwatch/rules/budget.yaml" || die "a file that nobody changed stayed old"
package --remove fiscwatch
gone usr/bin/fiscwatch "removing"
gone usr/lib/systemd/system/fiscwatch.service "removing"
there etc/fiscwatch/fiscwatch.yaml "removing"
package --purge fiscwatch
gone etc/fiscwatch "purging"
there var/lib/fiscwatch/fiscwatch.db "purging"
echo "Debian package: $(du -h "$new" | cut -f1) with a stripped ${binary##*/target/}, installs, upgrades, removes and purges in a scratch root"
