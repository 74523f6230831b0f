#!/usr/bin/env bash
# Makes an authority (ca.pem), the broker's key and certificate (broker.pem), and a client's certificate with an
# encrypted key (client.pem, client.key, password "client-key") in DIR.
set -euo pipefail
cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=fiscwatch tests" -keyout ca.key -out ca.pem
sign() { openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile "$1.ext" -out "$1.crt"; }

echo "subjectAltName=IP:127.0.0.1,DNS:localhost" >broker.ext
openssl req -newkey rsa:2048 -nodes -subj "/CN=127.0.0.1" -keyout broker.key -out broker.csr
sign broker
cat broker.key broker.crt ca.pem >broker.pem

echo "extendedKeyUsage=clientAuth" >client.ext
openssl req -newkey rsa:2048 -passout pass:client-key -subj "/CN=reader" -keyout client.key -out client.csr
sign client
mv client.crt client.pem
