"""What edge and core have on the disk of what was accepted, read without a line of their code.

The edge's outbox is files; the core's journal is RocksDB, read by its own tool `ldb` while the core is stopped.
"""

import base64
import collections
import datetime
import hashlib
import json
import re
import subprocess

from processes import LabError


def _payload(message):
    text = message["payload"]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _histogram(path):
    """Interval and digest: what a core tells histograms apart by. Two without rows have the same octets."""
    start, stop = (datetime.datetime.strptime(text, "%Y-%m-%dT%H-%M-%SZ") for text in
                   path.stem.removeprefix("dns_histogram-").split("_"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{start:%Y-%m-%dT%H:%M:%S}Z/{int((stop - start).total_seconds())} {digest}"


class Outbox:
    """The batches that an edge keeps: ids and names of events, histograms by interval and digest, and how each batch ended.

    An edge that nobody asks anything says so, batch by batch; the last of these may wait when it is stopped. What such
    a batch holds (no event, a histogram without rows) is in `last`.
    """

    def __init__(self, state):
        self.events, self.histograms, self.last, self.ends = [], [], [], collections.Counter()
        for folder in sorted((state / "batches").iterdir()):
            names = {path.name for path in folder.iterdir()}
            events = json.loads((folder / "new_qname.json").read_text()) if "new_qname.json" in names else []
            histograms = [_histogram(path) for path in sorted(folder.glob("*.parquet"))]
            end = "sent" if "sent" in names else "refused" if "refused" in names else "waiting"
            self.ends[end if events or end != "waiting" else "waiting, empty"] += 1
            self.events += [_payload(message) for message in events]
            (self.last if end == "waiting" and not events else self.histograms).extend(histograms)

    def ids(self):
        return [event["message_id"].lower() for event in self.events]


class Journal:
    """The store of a stopped core, one family at a time."""

    def __init__(self, store):
        self._store = store

    def family(self, name):
        """Keys and values, as octets."""
        done = subprocess.run(["ldb", f"--db={self._store}", f"--column_family={name}", "--hex", "scan"],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"ldb: {done.stderr.strip() or done.stdout.strip()}")
        pairs = re.findall(r"^0x([0-9A-F]*) (?:==>|:) 0x([0-9A-F]*)$", done.stdout, re.M)
        return [(bytes.fromhex(key), bytes.fromhex(value)) for key, value in pairs]

    def is_analysed(self):
        """Whether no event waits for the analysis. Of a core that runs too: False where its files move under us."""
        try:
            return not self.family("intake_outbox")
        except LabError:
            return False

    def event_ids(self, edge):
        """The ids of the events of this edge that the core has accepted; LabError if one has none."""
        prefix = edge.encode("ascii") + b"\nm"
        keys = [key for key, _ in self.family("intake_events")]
        if not all(key.startswith(prefix) for key in keys):
            raise LabError("the journal knows events without an id, or of another edge")
        return [key[len(prefix):].decode("ascii") for key in keys]

    def event_count(self):
        """How many events were ever accepted: one number is given to each."""
        for key, value in self.family("intake_meta"):
            if key == b"next_sequence":
                return int.from_bytes(value, "big") - 1
        return 0

    def aggregates(self):
        return [json.loads(value) for _, value in self.family("intake_aggregates")]

    def observed(self):
        """The names of all observations in the feed's log, as often as they are in it."""
        return [item["name"].rstrip(".") for _, value in self.family("feeds_log")
                for item in _payload(json.loads(value[8:]))["added"]]
