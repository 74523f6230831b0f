#!/usr/bin/env bash
# Gets what the tests against a real Kafka broker need: Java 17, openssl, and the broker's jars, which Maven copies
# to target/kafka. Does nothing where they are there. `cargo test` works without them and says what it skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."
jars=target/kafka
# The jars of this pom.xml are there, whole.
cmp -s tests/kafka/pom.xml "$jars/pom.xml" && command -v java >/dev/null && command -v openssl >/dev/null && exit 0

missing=()
command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v openssl >/dev/null || missing+=(openssl)
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing for the Kafka tests: ${missing[*]}"
    command -v apt-get >/dev/null || { echo "install ${missing[*]} with your package manager" >&2; exit 1; }
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
echo "copying the jars of a Kafka broker to $jars"
rm -rf "$jars"
mvn --quiet --batch-mode --file tests/kafka/pom.xml dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$PWD/$jars"
cp tests/kafka/pom.xml "$jars/pom.xml"
