"""Looks for a name in everything that was sent, received or derived, in each form that it could take."""

import base64
import re


def _base64_cores(text):
    """What must stand in base64(anything + text + anything), for each of the three alignments."""
    cores = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + text)
        # The first and last digits mix with the neighbours: cut them.
        first = {0: 0, 1: 2, 2: 3}[before]
        whole = (before + len(text)) // 3 * 4
        cores.append(encoded[first:whole].rstrip(b"="))
    return cores


def forms_of(name):
    """Octet strings that would give `name` away: text, wire form, reversed labels, hexadecimal, base64."""
    labels = name.rstrip(".").split(".")
    plain = name.rstrip(".").encode("ascii")
    label = labels[0].encode("ascii")
    wire = b"".join(bytes([len(part)]) + part.encode("ascii") for part in labels)
    backwards = ".".join(reversed(labels)).encode("ascii")
    texts = {label, plain, wire, backwards}
    forms = set(texts)
    for text in texts:
        forms.add(text.hex().encode("ascii"))
        for core in _base64_cores(text):
            forms.add(core)
            forms.add(core.translate(bytes.maketrans(b"+/", b"-_")))
    return [form.lower() for form in forms], forms


_JWS_PART = re.compile(rb'"(?:payload|protected)"\s*:\s*"([A-Za-z0-9_-]+)"')


def _decoded_parts(octets):
    """The payloads of all JWS in `octets`, decoded."""
    for match in _JWS_PART.finditer(octets):
        part = match.group(1)
        yield base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def search(folders, name):
    """How many files were read, and those in which `name` was found in any form."""
    lower, exact = forms_of(name)
    searched, found = 0, []
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            searched += 1
            octets = path.read_bytes()
            pieces = [octets, *_decoded_parts(octets)]
            if any(form in piece.lower() for piece in pieces for form in lower) or \
                    any(form in piece for piece in pieces for form in exact):
                found.append(str(path))
    return searched, found
