"""Checks an export of the records of Daypass: check_export.py FILE PUBLIC_KEY…"""

import base64, hashlib, json, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

def plain(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def need(true, otherwise):
    if not true:
        raise ValueError(otherwise)

def signed(jws, kind, keys):
    head, body, signature = jws.split(".")
    need(json.loads(plain(head)).items() >= {"typ": kind, "alg": "EdDSA"}.items(), "signed as something else")
    for key in keys:
        try:
            key.verify(plain(signature), f"{head}.{body}".encode())
            return json.loads(plain(body))
        except InvalidSignature:
            pass
    raise ValueError("signed by none of the keys")

def root(whole, place, last, path):  # RFC 9162, section 2.1.3.2
    for beside in path:
        need(last > 0, "the path is too long")
        if place & 1 or place == last:
            whole = sha(b"\1", beside, whole)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            whole = sha(b"\1", whole, beside)
        place, last = place >> 1, last >> 1
    return whole if last == 0 else None

def check(lines, keys):
    chains, cut, last, lacks, faults, newest, end = {}, {}, {}, 0, [], {"number": 0}, None
    checkpoints = records = 0
    digest = hashlib.sha256()
    for number, line in enumerate(lines, 1):
        try:
            need(end is None and line.endswith(b"\n"), "nothing should stand here")
            if number == 1:
                opening = json.loads(line)
                need((opening["format"], opening["version"]) == ("daypass-records", 1), "another format")
            elif line.startswith(b'{"checkpoint":'):
                checkpoints += 1
                said = signed(json.loads(line)["checkpoint"], "daypass-checkpoint+jws", keys)
                need(not records and said["number"] > newest["number"], "out of order")
                newest = said
                for span in said.get("grown", []):
                    chains[span["writer"]] = (said["number"], span["size"], plain(span["root"]))
                for span in said.get("cut", []):
                    cut[span["writer"]] = span["size"]
            elif line.startswith(b'{"end":'):
                end = json.loads(line)
                told = (end["end"]["records"], end["end"]["checkpoints"], plain(end["end"]["sha256"]))
                need(told == (records, checkpoints, digest.digest()), "lines were changed, added or removed")
                need(signed(end["signed"], "daypass-records+jws", keys) == end["end"], "the end was changed")
            else:
                place, record = line[:-2].split(b',"record":', 1)
                place = json.loads(place + b"}")
                need(set(place) == {"writer", "number", "checkpoint", "path"}, "other members")
                records += 1
                writer, at, path = place["writer"], place["number"], plain(place["path"])
                path = [path[i : i + 32] for i in range(0, len(path), 32)]
                by, size, whole = chains[writer]
                need(by == place["checkpoint"] and 0 < at <= size, "not covered")
                need(root(sha(b"\0", record), at - 1, size - 1, path) == whole, "not what was signed")
                before = last.get(writer, cut.get(writer, 0))
                need(at > before, "in the wrong place, or twice")
                last[writer], lacks = at, lacks + at - before - 1
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            faults.append(f"line {number}: {fault!r}")
        digest.update(line)
    if end is None:
        faults.append("the end is missing")
    elif end["end"]["whole"]:
        lacks += sum(size - last.get(writer, cut.get(writer, 0)) for writer, (_, size, _) in chains.items())
        counted = (len(chains), sum(size for _, size, _ in chains.values()))
        if lacks or counted != (newest.get("chains"), newest.get("records")):
            faults.append("it claims to be whole, and is not")
    return records, faults

with open(sys.argv[1], "rb") as export:
    records, faults = check(export, [Ed25519PublicKey.from_public_bytes(plain(key)) for key in sys.argv[2:]])
print(*faults, f"{records} records, {len(faults)} faults", sep="\n")
sys.exit(1 if faults else 0)
