#!/usr/bin/env bash
# Gets the real servers that tests talk to: Alertmanager (Debian's package, unpacked) and aiosmtpd (PyPI, in an environment
# of its own) into target/services, and PostgreSQL (Debian's package, installed without a server that runs); and a second
# reader of ISO 20022 messages (PyPI, in an environment of its own); a provider of identities (npm, into target/services), and
# OpenLDAP (Debian's packages, unpacked); moto, which speaks S3's protocol (PyPI, in an environment of its own);
# readers of the lake (PyPI: DuckDB and pyarrow in one environment, Spark in another). Named by hand: versitygw, which
# checks signatures, too (a Go module, built here for some minutes).
# setup/services.sh [alertmanager|aiosmtpd|iso20022|postgresql|oidc|slapd|unzip|moto|lake|spark|versitygw]…
# It does nothing where they are there. Where one cannot be had it says so, and `cargo test` says what it skips.
set -uo pipefail
cd "$(dirname "$0")/../.."
. scripts/setup/fetch.sh
services=$PWD/target/services

# Debian's Alertmanager looks for its templates in one place only; a link leads from there to what is unpacked.
get_alertmanager() {
    local templates=usr/share/prometheus/alertmanager
    (unpack "$services" prometheus-alertmanager usr/bin/prometheus-alertmanager) || return
    [ -e "/$templates/default.tmpl" ] && return
    root mkdir -p "$(dirname "/$templates")" && root ln -sfn "$services/prometheus-alertmanager/$templates" "/$templates"
}
get_aiosmtpd() { "$services/venv/bin/python" -c 'import aiosmtpd' || venv "$services/venv" aiosmtpd==1.4.6; }
# Its classes are made from the published schemas by xsdata.
get_iso20022() {
    "$services/iso20022/bin/python" -c 'import xsdata, pyiso20022' || venv "$services/iso20022" pyiso20022==1.6.2 xsdata==26.10
}

# A certified provider of OpenID Connect, which runs on node.
get_oidc() {
    if ! command -v npm >/dev/null; then
        root apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null ||
            { root apt-get update -qq && root apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; } || return
    fi
    [ -f "$services/oidc/node_modules/oidc-provider/package.json" ] && return
    mkdir -p "$services/oidc" && cd "$services/oidc" && npm install --silent --no-audit --no-fund --no-save oidc-provider@9.13.3
}

# Its libraries are unpacked beside it.
get_slapd() {
    [ -x "$services/slapd/usr/sbin/slapd" ] && return
    mkdir -p "$services/slapd" && cd "$services/slapd" || return
    local packages="slapd libldap-2.5-0 libodbc2 libltdl7 libsasl2-2 libwrap0"
    apt-get download -qq $packages || { root apt-get update -qq && apt-get download -qq $packages; } || return
    for package in *.deb; do dpkg-deb -x "$package" . || return; done
    rm -f ./*.deb
}

# It answers conditional writes, as the state's replica needs them.
get_moto() { [ -x "$services/moto/bin/moto_server" ] || venv "$services/moto" "moto[server]==5.2.5"; }

# Those who read the lake.
get_lake() { "$services/lake/bin/python" -c 'import duckdb, pyarrow' || venv "$services/lake" duckdb==2.0.1 pyarrow==26.0.1; }

# A second reader of it, in an environment of its own because it is half a gigabyte. It runs on the Java that the Kafka broker of the tests has.
get_spark() { "$services/spark/bin/python" -c 'import pyspark' || venv "$services/spark" pyspark==4.3.0; }

# It answers them over a folder, and checks signatures.
get_versitygw() {
    [ -x "$services/versitygw/versitygw" ] && return
    if ! command -v go >/dev/null; then
        root apt-get install -y -qq --no-install-recommends golang-go >/dev/null ||
            { root apt-get update -qq && root apt-get install -y -qq --no-install-recommends golang-go >/dev/null; } || return
    fi
    mkdir -p "$services/versitygw" && GOBIN=$services/versitygw go install "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
}

# With it packs of evidence are opened as their readers open them.
get_unzip() {
    command -v unzip >/dev/null && return
    root apt-get install -y -qq --no-install-recommends unzip >/dev/null ||
        { root apt-get update -qq && root apt-get install -y -qq --no-install-recommends unzip >/dev/null; }
}

# It needs libraries of its own, so it is installed; without a cluster nothing starts.
get_postgresql() {
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && return
    local none=/etc/postgresql-common/createcluster.d/no-main-cluster.conf
    root mkdir -p "$(dirname $none)" && echo "create_main_cluster = false" | root tee $none >/dev/null || return
    root apt-get install -y -qq --no-install-recommends postgresql ||
        { root apt-get update -qq && root apt-get install -y -qq --no-install-recommends postgresql; }
}

[ $# -gt 0 ] || set -- alertmanager aiosmtpd iso20022 postgresql oidc slapd unzip moto lake spark
fetch "$services/setup.log" "$@"
