"""DNS messages built and read by hand, so that a query can be sent from any loopback address."""

import random
import socket
import struct
import time

NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
A, SOA = 1, 6


class Answer:
    """What of a response the lab looks at."""

    def __init__(self, rcode, answers, flags, serial=None):
        self.rcode, self.answers, self.flags, self.serial = rcode, answers, flags, serial


def encode_name(name):
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in labels) + b"\0"


def build_query(name, qtype, ident):
    flags = 0x0100  # RD
    return struct.pack("!6H", ident, flags, 1, 0, 0, 0) + encode_name(name) + struct.pack("!2H", qtype, 1)


def skip_name(wire, at):
    while True:
        size = wire[at]
        if size == 0:
            return at + 1
        if size >= 0xC0:
            return at + 2
        at += 1 + size


def parse_response(wire, ident):
    """An Answer, or None if this is not the response to `ident`."""
    if len(wire) < 12:
        return None
    got, flags, questions, answers, _, _ = struct.unpack("!6H", wire[:12])
    if got != ident or not flags & 0x8000:
        return None
    serial = None
    at = 12
    for _ in range(questions):
        at = skip_name(wire, at) + 4
    for _ in range(answers):
        at = skip_name(wire, at)
        rrtype, _, _, size = struct.unpack("!2HIH", wire[at:at + 10])
        at += 10
        if rrtype == SOA:
            serial = struct.unpack("!I", wire[at + size - 20:at + size - 16])[0]
        at += size
    return Answer(flags & 0xF, answers, flags, serial)


def ask(server, name, qtype=A, source=None, timeout_s=5.0, attempt_s=1.0):
    """Asks `server` (address, port) over UDP, from `source` if given. None when no answer came in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        ident = random.SystemRandom().randrange(65536)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            if source:
                sock.bind((source, 0))
            sock.settimeout(attempt_s)
            sock.sendto(build_query(name, qtype, ident), server)
            try:
                while True:
                    wire, peer = sock.recvfrom(65535)
                    answer = parse_response(wire, ident) if peer == server else None
                    if answer:
                        return answer
            except (TimeoutError, ConnectionError):
                continue
    return None
