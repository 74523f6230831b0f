#!/usr/bin/env python3
"""The bill of materials (CycloneDX 1.6) of the binary, on standard output: sbom.py [TARGET].

What it names is what the binary is made of: crates without those that only build or test (macros stay: they write a part
of the code), the C libraries that crates bring as source, and the packages in the console's files. It asks `cargo metadata` and reads the lock files, compiles nothing, and
gives the same bytes for the same lock files. `scripts/check/supply.sh` holds it against the schema."""

import json
import re
import subprocess
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# C that is compiled from a crate's source: crate → name, where its version is written, licence.
BUNDLED = {
    "openssl-src": ("openssl", None, "Apache-2.0"),
    "rdkafka-sys": ("librdkafka", None, "BSD-2-Clause"),
    "zstd-sys": ("zstd", None, "BSD-3-Clause"),
    "libsqlite3-sys": ("sqlite", ("sqlite3/sqlite3.h", r'#define SQLITE_VERSION\s+"([\d.]+)"'), "blessing"),
    "libz-sys": ("zlib", ("src/zlib/zlib.h", r'#define ZLIB_VERSION "([\d.]+)"'), "Zlib"),
    "libmimalloc-sys": ("mimalloc", ("c_src/mimalloc/v3/include/mimalloc.h", r"#define MI_MALLOC_VERSION\s+(\d+)"), "MIT"),
}
# What only runs while building, but whose C is linked.
COMPILES = {"openssl-src"}


def metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def linked(resolve):
    """The ids of what the root's binary is linked with, and who needs whom."""
    nodes = {node["id"]: node for node in resolve["nodes"]}
    needs, open_ = {}, [resolve["root"]]
    while open_:
        id_ = open_.pop()
        if id_ in needs:
            continue
        deps = [] if named(id_) in COMPILES else nodes[id_]["deps"]
        normal = [d["pkg"] for d in deps if named(d["pkg"]) in COMPILES or any(k["kind"] is None for k in d["dep_kinds"])]
        needs[id_] = sorted(normal)
        open_ += normal
    return needs


def named(id_):
    return id_.rsplit("#", 1)[1].split("@")[0]


def checksums():
    lock = (ROOT / "Cargo.lock").read_text()
    found = re.findall(r'name = "(.+)"\nversion = "(.+)"\nsource = ".*"\nchecksum = "(\w+)"', lock)
    return {(name, version): checksum for name, version, checksum in found}


def licences(text):
    # Crates of old say "MIT/Apache-2.0"; the schema knows SPDX only.
    return [{"expression": text.replace("/", " OR ")}] if text else []


def crate(package, sums):
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{name}@{version}"
    made = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "licenses": licences(package["license"])}
    if checksum := sums.get((name, version)):
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"] and package["repository"].startswith("https://"):
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def bundled(package):
    name, where, licence = BUNDLED[package["name"]]
    if where is None:
        version = re.search(r"\+(?:zstd\.)?([\d.]+)$", package["version"])
    else:
        version = re.search(where[1], (Path(package["manifest_path"]).parent / where[0]).read_text(errors="replace"))
    if version is None:
        sys.exit(f"sbom.py: the version of {name} in {package['name']} {package['version']} cannot be read; correct BUNDLED")
    version = version[1]
    if name == "mimalloc":
        # 3.3.2 is written 30302.
        version = ".".join(str(int(part)) for part in (version[:-4], version[-4:-2], version[-2:]))
    purl = f"pkg:generic/{name}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "licenses": licences(licence)}


def console():
    lock = json.loads((ROOT / "console/package-lock.json").read_text())
    for path, package in lock["packages"].items():
        if not path or package.get("dev"):
            continue
        name = path.removeprefix("node_modules/")
        purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        yield {"type": "library", "bom-ref": purl, "name": name, "version": package["version"], "purl": purl, "licenses": licences(package.get("license"))}


def bill(target):
    found = metadata(target)
    packages = {package["id"]: package for package in found["packages"]}
    needs, sums, root = linked(found["resolve"]), checksums(), found["resolve"]["root"]
    crates = {id_: crate(packages[id_], sums) for id_ in needs}
    own = crates.pop(root) | {"type": "application"}
    edges = {(own if id_ == root else crates[id_])["bom-ref"]: [crates[n]["bom-ref"] for n in wanted] for id_, wanted in needs.items()}
    components = list(crates.values())
    missing = sorted(set(BUNDLED) - {packages[id_]["name"] for id_ in needs})
    if missing:
        sys.exit(f"sbom.py: {', '.join(missing)} no longer linked; correct BUNDLED")
    for id_ in crates:
        if packages[id_]["name"] in BUNDLED:
            inside = bundled(packages[id_])
            components.append(inside)
            edges[crates[id_]["bom-ref"]].append(inside["bom-ref"])
    for package in console():
        components.append(package)
        edges[own["bom-ref"]].append(package["bom-ref"])
    components.sort(key=lambda c: c["purl"])
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([own["purl"], target, [c["purl"] for c in components]]))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": own, "properties": [{"name": "target", "value": target}]},
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(wanted)} for ref, wanted in sorted(edges.items())],
    }


if __name__ == "__main__":
    json.dump(bill(sys.argv[1] if len(sys.argv) > 1 else "x86_64-unknown-linux-gnu"), sys.stdout, indent=1, ensure_ascii=False)
    print()
