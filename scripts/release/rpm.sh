#!/usr/bin/env bash
# Builds the RPM package: scripts/release/rpm.sh [OUT_DIR]. It takes target/release/fiscwatch, or FISCWATCH_BINARY, and needs
# rpmbuild and readelf.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-target/rpm}
command -v rpmbuild >/dev/null || { echo "there is no rpmbuild: install the package rpm or rpm-build" >&2; exit 1; }
. scripts/release/stage.sh
top=$(mktemp -d)
trap 'rm -rf "$stage" "$top"' EXIT

install -D -m 0644 LICENSE "$stage/usr/share/licenses/fiscwatch/LICENSE"
# Every file of /etc is the administrator's: rpm keeps one that was changed.
(
    cd "$stage"
    find etc -type f -printf '%%config(noreplace) %%attr(0644,root,root) "/%p"\n'
    find usr -type f -perm /111 -printf '%%attr(0755,root,root) "/%p"\n'
    find usr -type f ! -perm /111 -printf '%%attr(0644,root,root) "/%p"\n'
    find etc/fiscwatch usr/share/doc/fiscwatch usr/share/licenses/fiscwatch -type d -printf '%%dir %%attr(0755,root,root) "/%p"\n'
) | LC_ALL=C sort >"$top/files"
# A version of its own is for tests of upgrades.
sed "s|@VERSION@|${RPM_VERSION:-$version}|; s|@GLIBC@|$glibc|; s|@STAGE@|$stage|; s|@FILES@|$top/files|" \
    packaging/rpm/fiscwatch.spec.in >"$top/fiscwatch.spec"
rpmbuild -bb --quiet --target "$arch" --define "_topdir $top" --define "_rpmdir $top/out" "$top/fiscwatch.spec" >"$top/log" 2>&1 ||
    { cat "$top/log" >&2; exit 1; }
mkdir -p "$out"
package=$(find "$top/out" -name '*.rpm')
cp "$package" "$out/"
echo "$out/${package##*/}"
