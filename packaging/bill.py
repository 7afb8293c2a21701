#!/usr/bin/env python3
"""What the program is made of: a CycloneDX 1.5 bill of materials, and the licences of what is in it.

Made from `cargo tree`, which knows the features of this build, `cargo metadata` and Cargo.lock, so that a release needs
cargo and Python and nothing else. cargo-cyclonedx would leave out what is compiled in from C (SQLite, AWS-LC) and the
standard library, and the licences need the same walk anyway.

Usage: packaging/bill.py TARGET SBOM-FILE LICENCES-FILE     (SOURCE_DATE_EPOCH is the time)
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
LICENCE_FILES = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)

# What is compiled in from another language: where its version stands, and its licence.
BUNDLED = {
    "libsqlite3-sys": (
        "sqlite", "sqlite3/sqlite3.h", r'#define SQLITE_VERSION\s+"([^"]+)"', "blessing", "https://sqlite.org"),
    "aws-lc-sys": (
        "aws-lc", "aws-lc/include/openssl/base.h", r'#define AWSLC_VERSION_NUMBER_STRING "([^"]+)"',
        "ISC AND (Apache-2.0 OR ISC)", "https://github.com/aws/aws-lc"),
}


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def tree(target, edges):
    """The packages that a package needs, by their ids `name version`, from the program down."""
    lines = run("cargo", "tree", "--locked", "--package", "claviger", "--edges", edges, "--target", target,
                "--prefix", "depth", "--format", " {p}").splitlines()
    needs, above = {}, []
    for line in lines:
        depth, name, version = re.match(r"(\d+) (\S+) v(\S+)", line).groups()
        package = f"{name} {version}"
        needs.setdefault(package, set())
        del above[int(depth):]
        if above:
            needs[above[-1]].add(package)
        above.append(package)
    return needs


def compiled_in(needs, start, macros):
    """What ends up in the program: not what a procedural macro needs, nor it itself."""
    found, waiting = set(), [start]
    while waiting:
        package = waiting.pop()
        if package not in found and package not in macros:
            found.add(package)
            waiting.extend(needs[package])
    return found


def packages(target):
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    return {f"{package['name']} {package['version']}": package for package in metadata["packages"]}


def checksums():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {f"{entry['name']} {entry['version']}": entry.get("checksum") for entry in lock["package"]}


def spdx(package):
    return re.sub(r"\s*/\s*", " OR ", package["license"] or "") or None


def folder(package):
    return pathlib.Path(package["manifest_path"]).parent


def component(package, checksum, is_compiled_in):
    name, version = package["name"], package["version"]
    made = {
        "type": "library",
        "bom-ref": f"cargo:{name}@{version}",
        "name": name,
        "version": version,
        "scope": "required" if is_compiled_in else "excluded",
    }
    if package["description"]:
        made["description"] = " ".join(package["description"].split())
    if checksum:
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        made["purl"] = f"pkg:cargo/{name}@{version}"
    if spdx(package):
        made["licenses"] = [{"expression": spdx(package)}]
    if package["repository"]:
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def bundled(package):
    """The component that a package compiles from C."""
    name, header, pattern, licence, url = BUNDLED[package["name"]]
    version = re.search(pattern, (folder(package) / header).read_text()).group(1)
    return {
        "type": "library",
        "bom-ref": f"bundled:{name}@{version}",
        "name": name,
        "version": version,
        "scope": "required",
        "licenses": [{"expression": licence}] if licence != "blessing" else [{"license": {"id": licence}}],
        "externalReferences": [{"type": "website", "url": url}],
    }


def rust():
    version = re.search(r"^release: (.+)$", run("rustc", "-vV"), re.MULTILINE).group(1)
    return {
        "type": "framework",
        "bom-ref": f"rust-std@{version}",
        "name": "rust-std",
        "version": version,
        "description": "The Rust standard library",
        "scope": "required",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
        "externalReferences": [{"type": "vcs", "url": "https://github.com/rust-lang/rust"}],
    }


def sbom(found, needs, inside, start):
    sums = checksums()
    program = found[start]
    ref = {package: f"cargo:{package.replace(' ', '@')}" for package in needs}
    components = [component(found[name], sums.get(name), name in inside) for name in sorted(needs) if name != start]
    dependencies = {ref[name]: {ref[below] for below in needs[name]} for name in needs}
    for name in sorted(inside):
        if found[name]["name"] in BUNDLED:
            compiled = bundled(found[name])
            components.append(compiled)
            dependencies[ref[name]].add(compiled["bom-ref"])
            dependencies[compiled["bom-ref"]] = set()
    standard = rust()
    components.append(standard)
    dependencies[ref[start]].add(standard["bom-ref"])
    dependencies[standard["bom-ref"]] = set()
    time = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "component": {
                "type": "application",
                "bom-ref": ref[start],
                "name": program["name"],
                "version": program["version"],
                "description": program["description"],
                "licenses": [{"expression": spdx(program)}],
            },
        },
        "components": components,
        "dependencies": [
            {"ref": name, "dependsOn": sorted(below)} for name, below in sorted(dependencies.items())],
    }
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
    return {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}", **made}


def complain(bill):
    """What would make the bill useless: a name that leads nowhere, or a component without version or licence."""
    refs = [entry["bom-ref"] for entry in bill["components"]] + [bill["metadata"]["component"]["bom-ref"]]
    faults = [ref for ref in refs if refs.count(ref) > 1]
    for entry in bill["dependencies"]:
        faults += [ref for ref in [entry["ref"], *entry["dependsOn"]] if ref not in refs]
    for entry in bill["components"]:
        if not entry["version"] or not entry.get("licenses"):
            faults.append(entry["bom-ref"])
        if entry["bom-ref"].startswith("cargo:") and "purl" not in entry and not entry["name"].startswith("claviger"):
            faults.append(entry["bom-ref"])
    if faults:
        sys.exit(f"the bill of materials is not whole: {faults}")


def usual_text(package):
    """The text of a package's licence where it brings none: Apache's is the same for all, MIT's names the authors."""
    choices = set(re.split(r"[ ()/]+", spdx(package)))
    if "Apache-2.0" in choices and "AND" not in choices:
        return (ROOT / "LICENSE-APACHE").read_text().strip()
    if choices == {"MIT"} and package["authors"]:
        holders = ", ".join(re.sub(r" <.*>", "", author) for author in package["authors"])
        own = (ROOT / "LICENSE-MIT").read_text().strip()
        return re.sub(r"Copyright \(c\) .*", f"Copyright (c) {holders}", own)
    return None


def licences(found, inside):
    """Every licence text of what is compiled in, each once, with the packages that it belongs to."""
    texts, without = {}, []
    for name in sorted(inside):
        package = found[name]
        if package["source"] is None:
            continue
        places = [folder(package), folder(package) / "aws-lc"]
        files = sorted(file for place in places if place.is_dir() for file in place.iterdir()
                       if file.is_file() and LICENCE_FILES.match(file.name))
        if not files:
            text = usual_text(package)
            if text is None:
                without.append(f"{name} ({spdx(package)})")
            else:
                texts.setdefault(text, []).append(f"{name} ({spdx(package)}): the usual text, as it comes without one")
        for file in files:
            text = file.read_text(errors="replace").replace("\r\n", "\n").strip()
            texts.setdefault(text, []).append(f"{name} ({spdx(package)}): {file.name}")
    if without:
        sys.exit(f"these packages come without the text of their licence, which must be passed on: {', '.join(without)}")
    out = ["Licences of what is compiled into claviger. Claviger's own are in LICENSE, those of the Rust standard",
           "library in rust-standard-library.html. SQLite is in the public domain.", ""]
    for text, names in sorted(texts.items(), key=lambda item: item[1]):
        out += ["=" * 78, *names, "-" * 78, text, ""]
    return "\n".join(out)


def main():
    target, bill_file, licence_file = sys.argv[1:]
    needs, found = tree(target, "normal,build"), packages(target)
    start = next(name for name in needs if found[name]["name"] == "claviger")
    macros = {name for name in needs
              if any("proc-macro" in kind for part in found[name]["targets"] for kind in part["kind"])}
    inside = compiled_in(tree(target, "normal"), start, macros)
    bill = sbom(found, needs, inside, start)
    complain(bill)
    pathlib.Path(bill_file).write_text(json.dumps(bill, indent=2, ensure_ascii=False) + "\n")
    pathlib.Path(licence_file).write_text(licences(found, inside))
    print(f"{len(inside)} packages are compiled in, {len(needs) - len(inside)} more make them", file=sys.stderr)


if __name__ == "__main__":
    main()
