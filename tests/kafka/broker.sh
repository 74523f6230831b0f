#!/usr/bin/env bash
# Runs a Kafka broker in DIR until standard input ends, so it never outlives the test that started it, however that
# test ends. Then DIR is removed, unless it holds a file named "again".
# broker.sh JARS DIR PLAINTEXT SSL SASL SASL_SSL CONTROLLER   (five ports)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
jars=$1 dir=$2
log="$dir/broker.log"

java_options=(-Xms128m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*")

if [ ! -e "$dir/broker.properties" ]; then
    "$here/certificates.sh" "$dir" >>"$log" 2>&1
    {
        cat "$here/broker.properties"
        echo "log.dirs=$dir/data"
        echo "listeners=PLAINTEXT://127.0.0.1:$3,SSL://127.0.0.1:$4,SASL://127.0.0.1:$5,SASL_SSL://127.0.0.1:$6,CONTROLLER://127.0.0.1:$7"
        echo "controller.quorum.voters=1@127.0.0.1:$7"
        echo "ssl.keystore.location=$dir/broker.pem"
        echo "ssl.truststore.location=$dir/ca.pem"
    } >"$dir/broker.properties.new"
    java "${java_options[@]}" kafka.tools.StorageTool format --config "$dir/broker.properties.new" \
        --cluster-id fiscwatchAAAAAAAAAAAAA \
        --add-scram 'SCRAM-SHA-256=[name=reader,password=reader-256]' \
        --add-scram 'SCRAM-SHA-512=[name=reader,password=reader-512]' >>"$log" 2>&1
    mv "$dir/broker.properties.new" "$dir/broker.properties"
fi

rm -f "$dir/again"
java "${java_options[@]}" kafka.Kafka "$dir/broker.properties" >>"$log" 2>&1 </dev/null &
broker=$!
end() {
    kill -9 $broker 2>/dev/null || true
    wait $broker 2>/dev/null || true
    [ -e "$dir/again" ] || rm -rf "$dir"
}
trap end EXIT
# An interrupt from the keyboard goes to everybody; the end of the pipe is what counts here.
trap '' INT TERM
echo $broker >"$dir/broker.pid"
# Until the pipe ends, or the broker by itself.
while kill -0 $broker 2>/dev/null; do
    read -r -t 1 || [ $? -gt 128 ] || break
done
