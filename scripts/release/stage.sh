# Sourced by deb.sh and rpm.sh: the files of a package in a folder, and what the package says of them.
# It sets version, arch (x86_64 or aarch64), glibc (the oldest that runs the binary) and fills $stage.
binary=${FISCWATCH_BINARY:-target/release/fiscwatch}
[ -x "$binary" ] || { echo "there is no $binary: run 'cargo build --release' first" >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
arch=$(readelf -h "$binary" | sed -n 's/.*Machine: *//p')
case $arch in
    *X86-64) arch=x86_64 ;;
    AArch64) arch=aarch64 ;;
    *) echo "$binary is for a machine that is not packaged: $arch" >&2; exit 1 ;;
esac
glibc=$(readelf -V -W "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d_ -f2)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
FISCWATCH_BINARY=$binary FISCWATCH_MANUAL=${FISCWATCH_MANUAL:-$binary} systemd/install.sh "$stage" >/dev/null
install -d "$stage/usr/share/doc/fiscwatch/examples"
# As in the checkout, so that the pages find one another.
cp -r docs CHANGELOG.md "$stage/usr/share/doc/fiscwatch/"
rm -rf "$stage/usr/share/doc/fiscwatch/docs/decisions"
cp systemd/drop-in.conf.example "$stage/usr/share/doc/fiscwatch/examples/"
cp -r config/prometheus config/grafana "$stage/usr/share/doc/fiscwatch/examples/"
rm -rf "$stage/usr/share/doc/fiscwatch/examples/grafana/source"
