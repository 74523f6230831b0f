#!/usr/bin/env bash
# Builds the Debian package: scripts/release/deb.sh [OUT_DIR]. It takes target/release/fiscwatch, or FISCWATCH_BINARY, and needs
# dpkg-deb and readelf.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-target/debian}
. scripts/release/stage.sh
# A version of its own is for tests of upgrades.
version=${DEB_VERSION:-$version-1}
case $arch in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; esac

install -d "$stage/DEBIAN"
cp LICENSE "$stage/usr/share/doc/fiscwatch/copyright"
# Every file of /etc is the administrator's: dpkg asks before it replaces one that was changed.
(cd "$stage" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) >"$stage/DEBIAN/conffiles"
sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@GLIBC@/$glibc/; s/@SIZE@/$(du -sk --exclude=DEBIAN "$stage" | cut -f1)/" \
    packaging/debian/control.in >"$stage/DEBIAN/control"
install -m 0755 packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$stage/DEBIAN/"
mkdir -p "$out"
dpkg-deb --root-owner-group ${DEB_COMPRESSION:--Zxz} --build "$stage" "$out/fiscwatch_${version}_$arch.deb" >/dev/null
echo "$out/fiscwatch_${version}_$arch.deb"
