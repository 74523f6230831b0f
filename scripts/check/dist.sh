#!/usr/bin/env bash
# Packs a binary as scripts/release/dist.sh does, and uses what came out as somebody without a checkout would: the archive in an
# empty folder, the RPM package in a scratch root, and its next version over it: check-dist.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "what is handed out: $*" >&2; exit 1; }
strip -o "$work/fiscwatch" "$1"
FISCWATCH_BINARY=$work/fiscwatch DEB_COMPRESSION='-Zgzip -z1' DIST_OUT=$work/out scripts/release/dist.sh --pack "$work/fiscwatch" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "packing failed"; }

# The next version ships another configuration and other rules, as releases do.
mkdir "$work/next"
cp -r README*.md LICENSE CHANGELOG.md Cargo.toml docs config rules systemd scripts packaging "$work/next/"
for file in config/fiscwatch.yaml rules/budget.yaml; do echo '# Said by the next version.' >>"$work/next/$file"; done
FISCWATCH_BINARY=$work/fiscwatch RPM_VERSION=99.0.0 "$work/next/scripts/release/rpm.sh" "$work/next/out" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "packing the next version failed"; }

cd "$work/out"
sha256sum --quiet --check SHA256SUMS || die "the checksums are wrong"
for kind in tar.gz deb rpm cdx.json; do compgen -G "*.$kind" >/dev/null || die "there is no .$kind"; done

# The archive: its binary makes a project, finds something in it, and nothing of this checkout is needed.
mkdir "$work/try" && tar -C "$work/try" -xzf ./*.tar.gz && cd "$work/try"/fiscwatch-*
for file in fiscwatch README.md README.zh.md LICENSE CHANGELOG.md docs/operations.md docs/zh/operations.md rules/budget.yaml systemd/install.sh; do
    [ -e "$file" ] || die "the archive has no $file"
done
clean() { env -i PATH=/usr/bin:/bin HOME="$work" LANG=C.UTF-8 "$@"; }
clean ./fiscwatch init --example "$work/mine" >/dev/null || die "init does not work from the archive"
(cd "$work/mine" && clean "$work/try"/fiscwatch-*/fiscwatch check >/dev/null) || die "check does not work from the archive"
clean sh systemd/install.sh "$work/spread" >/dev/null || die "systemd/install.sh does not work from the archive"
[ -x "$work/spread/usr/bin/fiscwatch" ] && [ -e "$work/spread/etc/fiscwatch/rules/budget.yaml" ] || die "systemd/install.sh left something out"

# The RPM package: an administrator's work survives an upgrade and a removal.
root=$work/root
mkdir -p "$root"
package() { rpm --root "$root" --nodeps --noscripts "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "rpm $1 failed"; }; }
there() { [ -e "$root/$1" ] || die "$1 is not there after $2"; }
package --install --nosignature --ignorearch "$work/out"/*.rpm
for file in usr/bin/fiscwatch usr/lib/systemd/system/fiscwatch.service usr/lib/sysusers.d/fiscwatch.conf etc/fiscwatch/fiscwatch.yaml \
    etc/fiscwatch/rules/budget.yaml usr/share/man/man1/fiscwatch.1.gz usr/share/licenses/fiscwatch/LICENSE usr/share/doc/fiscwatch/README.zh.md \
    usr/share/doc/fiscwatch/docs/operations.md usr/share/doc/fiscwatch/docs/zh/operations.md; do
    there "$file" "the installation"
done
sed -i 's/^language: zh/language: en/' "$root/etc/fiscwatch/fiscwatch.yaml"
package --upgrade --nosignature --ignorearch "$work/next/out"/*.rpm
[ "$(rpm --root "$root" -q --queryformat '%{VERSION}' fiscwatch)" = 99.0.0 ] || die "the next version is not installed"
grep -q '^language: en' "$root/etc/fiscwatch/fiscwatch.yaml" || die "the upgrade took the administrator's configuration"
! grep -q 'next version' "$root/etc/fiscwatch/fiscwatch.yaml" || die "the upgrade changed the administrator's configuration"
grep -q 'next version' "$root/etc/fiscwatch/fiscwatch.yaml.rpmnew" || die "the new configuration is not beside the administrator's"
grep -q 'next version' "$root/etc/fiscwatch/rules/budget.yaml" || die "a file that nobody changed stayed old"
rpm -qp --scripts "$work/out"/*.rpm 2>/dev/null | sed '/^[a-z]* scriptlet /d; /^[a-z]* program/d' >"$work/scripts"
sh -n "$work/scripts" || die "the package's scripts are no shell scripts"
package --erase fiscwatch
[ ! -e "$root/usr/bin/fiscwatch" ] || die "the binary is still there after removing"
[ -e "$root/etc/fiscwatch/fiscwatch.yaml.rpmsave" ] || die "removing took the administrator's configuration"
echo "what is handed out: $(cd "$work/out" && ls | wc -l) files; the archive works in an empty folder, the RPM package installs, upgrades and leaves"
