#!/usr/bin/env bash
# Makes what is handed out, for machines without a network: an archive with one binary, the Debian and the RPM package,
# for x86_64 and aarch64 and glibc 2.28 or later (Kylin V10, UOS 20, openEuler 20.03, RHEL 8), each with a bill of materials (CycloneDX), and checksums.
#
#     scripts/release/dist.sh [x86_64|aarch64]…     builds, both by default, into target/dist
#     scripts/release/dist.sh --pack BINARY         packs a binary that is built already
#
# It needs rustup, python3, readelf, dpkg-deb and rpmbuild. A Zig compiler from PyPI links against the old glibc and for
# the other processor; it and cargo-zigbuild go into target/dist/tools.
# For the manual of a binary that does not run here it asks one that does: FISCWATCH_MANUAL, or one that it builds first.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/setup/fetch.sh
glibc_floor=2.28
dist=$PWD/target/dist tools=$PWD/target/dist/tools
out=${DIST_OUT:-$dist/out}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
runs_here=${FISCWATCH_MANUAL:-}
die() { echo "dist: $*" >&2; exit 1; }

get_zig() {
    [ -x "$tools/zig/bin/cargo-zigbuild" ] || venv "$tools/zig" cargo-zigbuild==0.24.1 ziglang==0.15.2
}

# The oldest glibc that runs a binary.
needs_glibc() { readelf -V -W "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d_ -f2; }

# librdkafka's configure takes CC and CXX, and without them the compiler of this machine, for any processor. Other build
# scripts go by the name of the target; what runs here while building is compiled by HOST_CC.
cross_c() {
    local arch=$1 name
    unset CC CXX HOST_CC HOST_CXX LDFLAGS
    [ "$arch" != "$(uname -m)" ] || return 0
    for name in cc c++; do
        # Asked for its version, it does not take the target.
        printf '#!/bin/sh\n[ "$1" = --version ] || set -- -target %s-linux-gnu.%s "$@"\nexec "%s" %s "$@"\n' \
            "$arch" "$glibc_floor" "$tools/zig/bin/python-zig" "$name" >"$tools/$arch-$name"
        chmod +x "$tools/$arch-$name"
    done
    export CC=$tools/$arch-cc CXX=$tools/$arch-c++ HOST_CC=cc HOST_CXX=c++
    # Its library for dynamic linking, which nobody uses, names symbols that are not there.
    export LDFLAGS=-Wl,--undefined-version
}

build() {
    local arch=$1 target=$1-unknown-linux-gnu
    get_zig || die "the Zig compiler cannot be fetched from PyPI"
    rustup target add "$target" >/dev/null 2>&1 || die "Rust's library for $target cannot be fetched"
    cross_c "$arch"
    PATH=$tools/zig/bin:$PATH cargo zigbuild --release --locked --target "$target.$glibc_floor" --target-dir "$dist/build"
    binary=$dist/build/$target/release/fiscwatch
    local needed
    needed=$(needs_glibc "$binary")
    [ "$(printf '%s\n%s\n' "$needed" "$glibc_floor" | sort -V | tail -n 1)" = "$glibc_floor" ] ||
        die "$binary needs glibc $needed, which is later than $glibc_floor"
}

# The archive: what the packages have, in one folder, with systemd/install.sh to spread it.
archive() {
    local arch=$1 binary=$2 name=fiscwatch-$version-linux-$1
    local folder=$dist/$name
    rm -rf "$folder"
    mkdir -p "$folder"
    install -m 0755 "$binary" "$folder/fiscwatch"
    cp -r README*.md LICENSE CHANGELOG.md docs config rules systemd "$folder/"
    rm -rf "$folder/config/grafana/source" "$folder/docs/decisions"
    tar -C "$dist" --owner=0 --group=0 --sort=name -czf "$out/$name.tar.gz" "$name"
    rm -rf "$folder"
}

pack() {
    local binary=$1 arch
    arch=$(readelf -h "$binary" | sed -n 's/.*Machine: *//p')
    case $arch in *X86-64) arch=x86_64 ;; AArch64) arch=aarch64 ;; *) die "$binary is for $arch" ;; esac
    archive "$arch" "$binary"
    scripts/release/sbom.py "$arch-unknown-linux-gnu" >"$out/fiscwatch-$version-linux-$arch.cdx.json"
    FISCWATCH_BINARY=$binary FISCWATCH_MANUAL=${runs_here:-$binary} scripts/release/deb.sh "$out" >/dev/null
    FISCWATCH_BINARY=$binary FISCWATCH_MANUAL=${runs_here:-$binary} scripts/release/rpm.sh "$out" >/dev/null
}

rm -rf "$out"
mkdir -p "$out" "$tools"
if [ "${1:-}" = --pack ]; then
    pack "$(realpath "${2:?dist.sh --pack BINARY}")"
else
    [ $# -gt 0 ] || set -- x86_64 aarch64
    for arch in "$@"; do
        case $arch in x86_64 | aarch64) ;; *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac
    done
    if [ -z "$runs_here" ]; then
        build "$(uname -m)"
        runs_here=$binary
    fi
    for arch in "$@"; do
        build "$arch"
        pack "$binary"
    done
fi
(cd "$out" && sha256sum -- * >SHA256SUMS)
ls -l "$out"
