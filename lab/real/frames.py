"""Frame Streams and dnstap for tests: frames made by hand, and a listener that records and counts what a resolver sends."""

import contextlib
import socket
import struct
import threading

CONTENT = b"protobuf:dnstap.Dnstap"
ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5


def control(kind, content=b""):
    field = struct.pack("!2I", 1, len(content)) + content if content else b""
    return struct.pack("!3I", 0, 4 + len(field), kind) + field


def capture(frames):
    """A .fstrm file, or what a unidirectional sender writes."""
    return control(START, CONTENT) + b"".join(struct.pack("!I", len(frame)) + frame for frame in frames) + control(STOP)


def _varint(number):
    octets = b""
    while number > 127:
        octets += bytes([number & 127 | 128])
        number >>= 7
    return octets + bytes([number])


def _field(number, octets):
    return bytes([number << 3 | 2]) + _varint(len(octets)) + octets


def dns_answer(name, qtype=1, rcode=0):
    """An answer to a query for the name's records, without any. `name`: text, or a list of labels as octets."""
    parts = name if isinstance(name, list) else [part.encode("ascii") for part in name.rstrip(".").split(".")]
    labels = b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
    return struct.pack("!6H", 1, 0x8180 | rcode, 1, 0, 0, 0) + labels + struct.pack("!2H", qtype, 1)


def dnstap_response(answer, client, time_s, *, nsec=None, server=None, ports=None, protocol=None, identity=None):
    """A CLIENT_RESPONSE. `client`: the address, 4 or 16 octets; `server` likewise; `ports`: the client's and the server's.
    What is not given is not in the frame."""
    message = bytes([1 << 3, 6])
    if server is not None:
        message += bytes([2 << 3, 1 if len(client) == 4 else 2])
    if protocol is not None:
        message += bytes([3 << 3, protocol])
    message += _field(4, client)
    if server is not None:
        message += _field(5, server)
    if ports is not None:
        message += bytes([6 << 3]) + _varint(ports[0]) + bytes([7 << 3]) + _varint(ports[1])
    message += bytes([12 << 3]) + _varint(time_s)
    if nsec is not None:
        message += bytes([13 << 3 | 5]) + struct.pack("<I", nsec)
    message += _field(14, answer)
    return (_field(1, identity) if identity is not None else b"") + bytes([15 << 3, 1]) + _field(14, message)


class Recorder(threading.Thread):
    """Takes one connection after the other on a unix socket; each frame counts once it is in the file."""

    def __init__(self, path, capture):
        super().__init__(daemon=True)
        self.count = 0
        self._frames = []
        self._file = open(capture, "wb")
        self._file.write(control(START, CONTENT))
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(8)
        path.chmod(0o666)

    def run(self):
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection):
        # A resolver that ends does not always wait for our last word.
        with contextlib.suppress(ConnectionError), connection, connection.makefile("rb") as stream:
            while size := stream.read(4):
                length = struct.unpack("!I", size)[0]
                if length:
                    frame = stream.read(length)
                    self._file.write(size + frame)
                    self._frames.append(frame)
                    self.count += 1
                    continue
                body = stream.read(struct.unpack("!I", stream.read(4))[0])
                kind = struct.unpack("!I", body[:4])[0]
                if kind == READY:
                    connection.sendall(control(ACCEPT, CONTENT))
                elif kind == STOP:
                    connection.sendall(control(FINISH))

    def frames_with(self, label):
        """How many frames so far hold a name with this label."""
        wanted = bytes([len(label)]) + label.encode("ascii")
        return sum(wanted in frame.lower() for frame in list(self._frames))

    def finish(self):
        """Ends the file. Nothing may be sent any more."""
        self._file.write(control(STOP))
        self._file.close()
