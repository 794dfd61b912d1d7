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


def dns_answer(name):
    """An answer to a query for the name's A records, without any."""
    labels = b"".join(bytes([len(part)]) + part.encode("ascii") for part in name.rstrip(".").split(".")) + b"\0"
    return struct.pack("!6H", 1, 0x8180, 1, 0, 0, 0) + labels + struct.pack("!2H", 1, 1)


def dnstap_response(answer, client, time_s):
    """A CLIENT_RESPONSE. `client`: the address, 4 or 16 octets."""
    message = bytes([1 << 3, 6]) + _field(4, client) + bytes([12 << 3]) + _varint(time_s) + _field(14, answer)
    return bytes([15 << 3, 1]) + _field(14, message)


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
