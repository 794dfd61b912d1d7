"""PostgreSQL's extension hll reads our sketches, alone and in unions, and estimates what our own code does.
TAPIR_BIN: folder with the programs, lab_sketches among them.

A cluster of its own, in a temporary folder, that listens on a unix socket alone.
"""

import itertools
import json
import math
import os
import pathlib
import pwd
import subprocess
import tempfile
import unittest

import hour
from processes import Processes, wait_for
from readers_test import read

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
ROOT = pathlib.Path(__file__).resolve().parents[2]
VECTORS = ROOT / "libs/sketch/golden/vectors.jsonl"
PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")
FULL_SIZE = 512  # octets of 2^10 registers of four bits
USER = "postgres"  # of Debian's package: the server refuses to run as root


def ours(unions):
    """(form, estimate, octets in hexadecimal) by our own code, of each union."""
    lines = "".join(" ".join(sketches) + "\n" for sketches in unions)
    done = subprocess.run([BIN / "lab_sketches"], input=lines, capture_output=True, text=True, timeout=60, check=True)
    return [(form, int(estimate), octets) for form, estimate, octets in map(str.split, done.stdout.splitlines())]


class Postgresql(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory(prefix="tapir-postgresql-")
        cls.addClassCleanup(cls._folder.cleanup)
        cls.folder = pathlib.Path(cls._folder.name)
        cls.home = cls.folder / "cluster"
        cls.home.mkdir()
        become = []
        if os.geteuid() == 0:
            cls.folder.chmod(0o755)
            account = pwd.getpwnam(USER)
            os.chown(cls.home, account.pw_uid, account.pw_gid)
            # The signal of a parent's death is forgotten when the user changes, so it is asked for once more.
            become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--pdeathsig", "KILL", "--"]
        data = cls.home / "data"
        subprocess.run([*become, PROGRAMS / "initdb", "-D", data, "-A", "trust", "-U", "tapir", "--no-sync", "--no-instructions"],
                       check=True, capture_output=True, cwd=cls.home)
        processes = Processes(cls.folder)
        processes.__enter__()
        cls.addClassCleanup(processes.__exit__)
        processes.start("postgres", [*become, PROGRAMS / "postgres", "-D", data, "-k", cls.home, "-h", "", "-F"])
        wait_for("PostgreSQL", lambda: (cls.home / ".s.PGSQL.5432").exists() and cls.ask("SELECT 1;", check=False) == ["1"], 60,
                 0.1, processes.check)
        cls.ask("CREATE EXTENSION hll;")

    @classmethod
    def ask(cls, sql, check=True):
        """Lines of the answer."""
        done = subprocess.run([PROGRAMS / "psql", "-h", cls.home, "-U", "tapir", "-d", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1"],
                              input=sql, capture_output=True, text=True, timeout=120, check=False)
        if check and done.returncode != 0:
            raise AssertionError(done.stderr[-2000:])
        return done.stdout.splitlines()

    def theirs(self, unions):
        """(estimate, octets in hexadecimal) by PostgreSQL, of each union."""
        def union(sketches):
            values = ", ".join(f"('\\x{one}'::hll)" for one in sketches)
            return f"SELECT hll_cardinality(u) || ' ' || u::text FROM (SELECT hll_union_agg(s) AS u FROM (VALUES {values}) v(s)) w;"

        answers = self.ask("\n".join(map(union, unions)))
        self.assertEqual(len(answers), len(unions))
        return [(float(estimate), octets.removeprefix("\\x")) for estimate, octets in map(str.split, answers)]

    def agree(self, unions):
        """Estimates, ours rounded up; and where both keep registers, these too. From how many hashes on a union is kept in
        registers differs: the header has room for powers of two only, and PostgreSQL reads ours as half of what we do. Where
        one is still exact, its octets are made into registers too, by our code, and both must be the same."""
        equal = 0
        for sketches, (form, estimate, octets), (number, other) in zip(unions, ours(unions), self.theirs(unions), strict=True):
            said = f"{form}, {other[:2]}: {[one[:20] for one in sketches]}"
            if (form in ("empty", "explicit")) != (other[:2] in ("11", "12")):
                exact, exact_number = (octets, estimate) if form == "explicit" else (other, number)
                self.assertEqual(exact_number, len(exact[6:]) // 16, said)
                (_, estimate, octets), (_, by_theirs, theirs) = ours([[one, "146a44" + "00" * FULL_SIZE] for one in (octets, other)])
                self.assertEqual((estimate, octets[6:]), (by_theirs, theirs[6:]), said)
                if form == "explicit":
                    self.assertEqual(estimate, math.ceil(number), said)
                continue
            self.assertEqual(estimate, math.ceil(number), said)
            if octets[:2] == other[:2]:
                self.assertEqual(octets[6:], other[6:], said)
                equal += 1
        return equal

    def test_reads_golden_sketches_in_every_form(self):
        vectors = [json.loads(line) for line in VECTORS.read_text().splitlines()]
        single = [vector for vector in vectors if "bytes" in vector]
        unions = [[vector["bytes"]] for vector in single]
        said = ours(unions)
        self.assertEqual({form for form, _, _ in said}, {"empty", "explicit", "sparse", "full"})
        # What our own code writes is what it was given, and what PostgreSQL was given too.
        self.assertEqual([octets for _, _, octets in said], [vector["bytes"] for vector in single])
        equal = self.agree(unions)
        print(f"golden: {len(unions)} sketches read with equal estimates, {equal} of them written back as the same registers",
              flush=True)

    def test_unions_of_golden_sketches(self):
        vectors = [json.loads(line) for line in VECTORS.read_text().splitlines()]
        unions = [[vector["a"], vector["b"]] for vector in vectors if "union" in vector]
        alike = [vector["bytes"] for vector in vectors if vector.get("log2m") == 10 and vector["expthresh"] == 20]
        unions += [list(pair) for pair in itertools.product(alike, alike)]
        unions += [alike[:count] for count in range(2, len(alike))]
        equal = self.agree(unions)
        print(f"golden: {len(unions)} unions with equal estimates, {equal} of them with equal registers", flush=True)

    def test_unions_of_compatible_histograms(self):
        out = hour.process(BIN, self.folder, "compatible")
        by_name = {}
        for said in read("pyarrow", sorted((out / "histograms").glob("*.parquet"))).values():
            for row in (dict(zip(said["columns"], row)) for row in said["rows"]):
                name = ".".join(row[f"label{i}"][2:] for i in range(10) if row[f"label{i}"] is not None)
                for column in ("v4client_count_hll", "v6client_count_hll"):
                    if row[column]:
                        by_name.setdefault((name, column), []).append(row[column][2:])
        # Each row by itself, each name over its minutes, and all clients there are.
        unions = [[one] for sketches in by_name.values() for one in sketches] + list(by_name.values())
        unions.append([one for sketches in by_name.values() for one in sketches])
        self.assertEqual({form for form, _, _ in ours(unions)}, {"sparse", "full"})
        equal = self.agree(unions)
        print(f"histograms: {len(by_name)} names and families, {len(unions)} sketches and unions with equal estimates, {equal} with"
              f" equal registers; all clients: {ours(unions[-1:])[0][1]}", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
