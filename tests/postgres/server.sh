#!/usr/bin/env bash
# Runs a PostgreSQL server in DIR until standard input ends, so it never outlives the test that started it, however that
# test ends. Then DIR is removed, unless it holds a file named "again". A server that ends by itself leaves DIR: it may be started
# again.
# server.sh BIN DIR PORT   (BIN has initdb and postgres; the superuser is "admin", his password too)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$1 dir=$2 port=$3
log="$dir/server.log"

# PostgreSQL refuses to run as root.
as_nobody=()
[ "$(id -u)" != 0 ] || as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups)

if [ ! -e "$dir/ready" ]; then
    "$here/../kafka/certificates.sh" "$dir" >>"$log" 2>&1
    mkdir "$dir/data"
    cp "$dir/broker.key" "$dir/server.key"
    chmod 600 "$dir/server.key"
    printf admin >"$dir/admin"
    [ "$(id -u)" != 0 ] || chown -R nobody:nogroup "$dir"
    "${as_nobody[@]}" "$bin/initdb" --pgdata="$dir/data" --username=admin --pwfile="$dir/admin" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C --no-sync >>"$log" 2>&1
    touch "$dir/ready"
fi

rm -f "$dir/again"
"${as_nobody[@]}" "$bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c fsync=off -c ssl=on -c ssl_cert_file="$dir/broker.crt" -c ssl_key_file="$dir/server.key" >>"$log" 2>&1 </dev/null &
server=$!
# Whether the one who started it is gone, or wants it to end.
asked=
end() {
    # Its processes end when they miss it.
    kill -9 $server 2>/dev/null || true
    wait $server 2>/dev/null || true
    [ -z "$asked" ] || [ -e "$dir/again" ] || rm -rf "$dir"
}
trap end EXIT
# An interrupt from the keyboard goes to everybody; the end of the pipe is what counts here.
trap '' INT TERM
echo $server >"$dir/server.pid"
# Until the pipe ends, or the server by itself.
while kill -0 $server 2>/dev/null; do
    read -r -t 1 || [ $? -gt 128 ] || { asked=1 && break; }
done
