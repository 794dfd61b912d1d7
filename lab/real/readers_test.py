"""Every kind of Parquet file that the edge writes, read by pyarrow, DuckDB and hyparquet: they must agree in every value.
TAPIR_BIN: folder with the programs.

Each reader is a program of its own (lab/real/readers) that prints, for each file, its columns and rows. A cell is null or text
with its type in front: t: microseconds UTC, u64: and the like unsigned, s: text, b: octets in hexadecimal.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import hour

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
ROOT = pathlib.Path(__file__).resolve().parents[2]
ORACLES = ROOT / "build/oracles"
READERS = ROOT / "lab/real/readers"

COMMANDS = {
    "pyarrow": [ORACLES / "python/bin/python", "-B", READERS / "pyarrow_reader.py"],
    "DuckDB": [ORACLES / "python/bin/python", "-B", READERS / "duckdb_reader.py"],
    "hyparquet": ["node", READERS / "hyparquet_reader.mjs", ORACLES / "hyparquet"],
}


def read(reader, paths):
    """What the reader says of each file."""
    done = subprocess.run([*COMMANDS[reader], *paths], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{reader}: {done.stderr[-2000:]}")
    return dict(zip(paths, map(json.loads, done.stdout.splitlines()), strict=True))


def minutes_of(path):
    """The length of the interval in the name of a histogram."""
    times = [int(h) * 60 + int(m) for h, m in re.findall(r"T(\d\d)-(\d\d)-\d\dZ", path.name)]
    return times[1] - times[0]


class Readers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (ORACLES / "hyparquet").exists() or not (ORACLES / "python/bin/python").exists():
            raise AssertionError("build/oracles is not there: run scripts/setup test")
        cls._folder = tempfile.TemporaryDirectory(prefix="tapir-readers-")
        cls.addClassCleanup(cls._folder.cleanup)
        cls.folder = pathlib.Path(cls._folder.name)

    def agree(self, paths):
        """All readers say the same of each file; what they say."""
        said = {reader: read(reader, paths) for reader in COMMANDS}
        cells = 0
        for path in paths:
            one = said["pyarrow"][path]
            for reader in ("DuckDB", "hyparquet"):
                other = said[reader][path]
                self.assertEqual(other["columns"], one["columns"], f"{reader}, {path.name}")
                self.assertEqual(len(other["rows"]), len(one["rows"]), f"{reader}, {path.name}")
                for number, (mine, theirs) in enumerate(zip(one["rows"], other["rows"])):
                    self.assertEqual(dict(zip(one["columns"], theirs)), dict(zip(one["columns"], mine)),
                                     f"{reader}, {path.name}, row {number}")
                    cells += len(mine)
        return said["pyarrow"], cells // 2

    def results(self, profile):
        """The folder with what the edge writes of the hour; made once."""
        out = self.folder / profile
        return out if out.exists() else hour.process(BIN, self.folder, profile)

    def histograms(self, profile):
        """Rows by length of interval, as dictionaries."""
        out = self.results(profile)
        paths = sorted((out / "histograms").glob("*.parquet"))
        said, cells = self.agree(paths)
        rows = collections.defaultdict(list)
        for path in paths:
            rows[minutes_of(path)] += [dict(zip(said[path]["columns"], row)) for row in said[path]["rows"]]
        lengths = collections.Counter(map(minutes_of, paths))
        print(f"{profile}: files by minutes {dict(sorted(lengths.items()))}, rows {({k: len(v) for k, v in rows.items()})},"
              f" {cells} values equal", flush=True)
        return rows

    @staticmethod
    def names(rows):
        """The names in these rows, their labels from the root on."""
        return {tuple(row[f"label{i}"][2:] for i in range(10) if row[f"label{i}"] is not None) for row in rows}

    def check_wide(self, profile):
        rows = self.histograms(profile)
        self.assertEqual(set(rows), {1, 10, 60})
        self.assertIn(("se", "busy"), self.names(rows[1]))
        self.assertIn(("se", "under", ""), self.names(rows[1]))
        self.assertIn(("se", "deep", "k", "j", "i", "h", "g", "f", "e", "d.c.b.a"), self.names(rows[1]))
        self.assertIn(("se", "slow"), self.names(rows[10]))
        self.assertIn(("se", f"rare-{profile}"), self.names(rows[60]))
        every = [row for some in rows.values() for row in some]
        self.assertTrue(all(row["v4client_count_hll"] is None and row["v6client_count_hll"] is None for row in every))
        huge = [row for row in rows[1] if row["label1"] == "s:huge"]
        self.assertEqual([row["v4client_count"] for row in huge], ["u64:2000"] * 2)

    def test_histograms_of_standard(self):
        self.check_wide("standard")

    def test_histograms_of_strict(self):
        self.check_wide("strict")

    def test_histograms_of_compatible(self):
        rows = self.histograms("compatible")
        every = [row for some in rows.values() for row in some]
        forms = collections.Counter(row[column][:4] if row[column] else None for row in every
                                    for column in ("v4client_count_hll", "v6client_count_hll"))
        self.assertEqual(set(forms), {None, "b:13", "b:14"}, "sparse, full and none")
        self.assertGreater(len(self.names(every)), 5)

    def test_session_files(self):
        out = self.results("standard")
        sealed = sorted((out / "sessions").glob("2*/*.sealed"))
        for path in sealed:
            subprocess.run([BIN / "tapir", "session", "decrypt", path], check=True, capture_output=True, timeout=60)
        paths = [path.with_suffix("") for path in sealed]
        said, cells = self.agree(paths)
        rows = [dict(zip(said[path]["columns"], row)) for path in paths for row in said[path]["rows"]]
        print(f"sessions: {len(paths)} files, {len(rows)} rows, {cells} values equal", flush=True)
        # What was sent, to the microsecond.
        times = sorted(int(row["response_time"][2:]) for row in rows)
        sent = sorted((hour.START_S + 120 + index // 3) * 10**6 + (index * 3_333_333 % 10**9 // 1000 if index % 5 else 0)
                      for index in range(300))
        self.assertEqual(times, sent)
        # Numbers of the upper half are where readers differ: some have no unsigned ones.
        self.assertTrue(any(int(row["source_ipv6_network"][4:]) >= 2**63 for row in rows if row["source_ipv6_network"]))
        self.assertTrue(any(int(row["source_ipv4"][4:]) >= 2**31 for row in rows if row["source_ipv4"]))
        self.assertTrue(all(any(row[column] is None for row in rows) for column in ("dest_port", "dns_protocol", "server_id")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
