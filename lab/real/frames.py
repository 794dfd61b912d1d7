"""A Frame Streams listener that writes what a resolver sends into a file and counts it: to wait for frames, not for time."""

import contextlib
import socket
import struct
import threading

CONTENT = b"protobuf:dnstap.Dnstap"
ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5


def control(kind, content=b""):
    field = struct.pack("!2I", 1, len(content)) + content if content else b""
    return struct.pack("!3I", 0, 4 + len(field), kind) + field


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
