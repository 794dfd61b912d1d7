"""An hour of traffic made by hand, for comparing what the edge writes of it: well-known names that reach their threshold in a
minute, in ten and in an hour; one with thousands of clients; names that are not well known, of all shapes."""

import ipaddress
import pathlib
import subprocess

from frames import capture, dns_answer, dnstap_response

START_S = 1_789_984_800  # 2026-09-21 10:00:00 UTC, the start of an hour
DEEP = "a.b.c.d.e.f.g.h.i.j.k.deep.se"
HUGE_CLIENTS = 3000
WELL_KNOWN = ["busy.se", "slow.se", "rare-standard.se", "rare-strict.se", "huge.se", ".under.se", DEEP]

CONFIG = """client_networks = ["10.0.0.0/8", "2001:db8::/32"]
lists.well_known = "{folder}/well-known.txt"
[sessions]
enabled = true
cryptopan_key_file = "{folder}/cryptopan.key"
cryptopan_salt = "salt of the lab"
message = "full"
"""

# Labels that text formats trip over.
ODD_NAMES = [[b"dot.in.label", b"odd", b"se"], [b"quo\"te", b"odd", b"se"], [b"\x00\xff\xfe", b"odd", b"se"],
             ["å".encode(), b"odd", b"se"], [b"UPPER", b"odd", b"SE"], [b"x"] * 30 + [b"odd", b"se"], [b"l" * 63, b"odd", b"se"]]


def v4(index):
    """Clients in many networks."""
    return ipaddress.ip_address(f"10.{1 + index % 7}.{index // 7 % 250}.{1 + index // 1750}").packed


def v6(index):
    """Each in a /56 of its own."""
    return ipaddress.ip_address((0x20010DB8 << 96) | (index % 5 << 88) | (index << 72) | 1).packed


def _counted(second, name, client, number):
    return (second, dnstap_response(dns_answer(name, (1, 28, 15, 2, 65)[number % 5], (0, 0, 3, 2, 5)[number % 5]), client,
                                    START_S + second))


def frames():
    """In the order of their time."""
    out = []
    for minute in range(4):
        for index in range(90):
            for name in ("busy.se", f"host{index}.under.se", DEEP):
                out.append(_counted(60 * minute + index % 60, name, v4(index), index))
                out.append(_counted(60 * minute + index % 60, name, v6(index), index + 1))
    for index in range(HUGE_CLIENTS):
        for minute in range(2):
            out.append(_counted(60 * minute + index % 60, "huge.se", v4(index * (1 + minute)), index))
    for minute in range(60):
        for index in range(12 if minute < 10 else 0):
            out.append(_counted(60 * minute + index, "slow.se", v4(12 * minute + index), index))
        # Few enough to be short of what the profile asks for in ten minutes, and not in an hour.
        out.append(_counted(60 * minute + 30, "rare-standard.se", v4(minute), minute))
        for index in range(2):
            out.append(_counted(60 * minute + 31 + index, "rare-strict.se", v4(2 * minute + index), minute))
    for index in range(300):
        client = v4(index) if index % 3 else v6(index)
        server = v4(7000) if index % 3 else v6(7000)
        name = ODD_NAMES[index % len(ODD_NAMES)] if index % 2 else [b"new%d" % index, b"se"]
        has_all = index % 5 != 0
        out.append((120 + index // 3, dnstap_response(
            dns_answer(name, 1 + index, index % 6), client, START_S + 120 + index // 3,
            nsec=(index * 3_333_333) % 1_000_000_000 if has_all else None, server=server if has_all else None,
            ports=(1024 + 200 * index, 53) if has_all else None, protocol=1 + index % 7 if has_all else None,
            identity=b"lab\x00\xff%d" % index if has_all else b"")))
    # So that the last hour is over.
    out.append(_counted(3700, "busy.se", v4(0), 0))
    return [frame for _, frame in sorted(out, key=lambda item: item[0])]


def process(binaries, folder, profile, *more):
    """Lets the edge's offline twin make of the hour what it makes in this profile; the folder with its results."""
    (folder / "well-known.txt").write_text("\n".join(WELL_KNOWN) + "\n")
    (folder / "cryptopan.key").write_text("words of the lab, not short\n")
    (folder / "cryptopan.key").chmod(0o600)
    (folder / "edge.toml").write_text(CONFIG.format(folder=folder))
    (folder / "hour.fstrm").write_bytes(capture(frames()))
    out = folder / profile
    subprocess.run([pathlib.Path(binaries) / "tapir-edge", "process", folder / "hour.fstrm", "--config", folder / "edge.toml",
                    "--profile", profile, "--out", out, *more], check=True, capture_output=True, timeout=300)
    return out
