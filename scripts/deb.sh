#!/usr/bin/env bash
# Builds the Debian package: scripts/deb.sh [OUT_DIR]. It takes target/release/fiscwatch, or FISCWATCH_BINARY, and needs
# dpkg-deb only.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-target/debian}
binary=${FISCWATCH_BINARY:-target/release/fiscwatch}
[ -x "$binary" ] || { echo "there is no $binary: run 'cargo build --release' first" >&2; exit 1; }
# A version of its own is for tests of upgrades.
version=${DEB_VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)-1}
arch=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

FISCWATCH_BINARY=$binary systemd/install.sh "$stage" >/dev/null
install -d "$stage/DEBIAN" "$stage/usr/share/doc/fiscwatch/examples"
cp -r docs/*.md CHANGELOG.md "$stage/usr/share/doc/fiscwatch/"
cp LICENSE "$stage/usr/share/doc/fiscwatch/copyright"
cp systemd/drop-in.conf.example "$stage/usr/share/doc/fiscwatch/examples/"
cp -r config/prometheus config/grafana "$stage/usr/share/doc/fiscwatch/examples/"
rm -rf "$stage/usr/share/doc/fiscwatch/examples/grafana/source"

# Every file of /etc is the administrator's: dpkg asks before it replaces one that was changed.
(cd "$stage" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) >"$stage/DEBIAN/conffiles"
glibc=$(objdump -T "$binary" 2>/dev/null | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d_ -f2)
sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@GLIBC@/${glibc:-2.36}/; s/@SIZE@/$(du -sk --exclude=DEBIAN "$stage" | cut -f1)/" \
    packaging/debian/control.in >"$stage/DEBIAN/control"
install -m 0755 packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$stage/DEBIAN/"
mkdir -p "$out"
dpkg-deb --root-owner-group ${DEB_COMPRESSION:--Zxz} --build "$stage" "$out/fiscwatch_${version}_$arch.deb" >/dev/null
echo "$out/fiscwatch_${version}_$arch.deb"
