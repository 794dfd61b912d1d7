"""tapir as an operator types it: every command on real files, and what it says of wrong ones."""
import hashlib
import json
import os
import pathlib
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

BIN = pathlib.Path(os.environ["TAPIR_BIN"])
SOURCE = pathlib.Path(os.environ["TAPIR_SOURCE"])
sys.path.insert(0, str(SOURCE / "lab/real"))
from frames import ACCEPT, CONTENT, FINISH, STOP, capture, control, dns_answer, dnstap_response  # noqa: E402


def tapir(*words, status=0):
    done = subprocess.run([BIN / "tapir", *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


class Cli(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="tapir-cli-")
        self.folder = pathlib.Path(self._folder.name)
        self.addCleanup(self._folder.cleanup)

    def process(self):
        """A run of the edge's twin over a capture made here: two names, one of them listed."""
        clients = [bytes([10, n % 4, 0, n]) for n in range(100)]
        frames = [dnstap_response(dns_answer(name), client, 1_790_000_040)
                  for client in clients for name in ("listed.se", "www.fresh-name.se")]
        (self.folder / "in.fstrm").write_bytes(capture(frames))
        (self.folder / "names.txt").write_text("listed.se\n")
        out = self.folder / "out"
        subprocess.run([BIN / "tapir-edge", "process", self.folder / "in.fstrm", "--out", out,
                        "--well-known", self.folder / "names.txt"], check=True, capture_output=True, timeout=300)
        return out

    def test_keys(self):
        tapir("keys", "new", "--kid", "edge-1.example", "--out", self.folder)
        private = self.folder / "edge-1.example.jwk"
        self.assertEqual(stat.S_IMODE(private.stat().st_mode), 0o600)
        secret = json.loads(private.read_text())["d"]
        shown = tapir("keys", "show", private)
        self.assertIn("edge-1.example", shown)
        self.assertNotIn(secret, shown)
        self.assertNotIn("\"d\"", (self.folder / "edge-1.example.public.jwk").read_text())
        self.assertIn("edge-1.example", tapir("keys", "new", "--kid", "edge-1.example", "--out", self.folder, status=1))
        self.assertEqual(json.loads(private.read_text())["d"], secret, "nothing is overwritten")

    def test_suspects(self):
        """The operator sees what a threat list names, by the hour, and nothing of who asked for what."""
        frames = [dnstap_response(dns_answer("victim-7.evil.se"), bytes([10, 1, 1, n]), 1_790_000_040)
                  for n in range(3)]
        (self.folder / "in.fstrm").write_bytes(capture(frames))
        (self.folder / "threats.txt").write_text("evil.se\n")
        out = self.folder / "out"
        subprocess.run([BIN / "tapir-edge", "process", self.folder / "in.fstrm", "--out", out, "--set",
                        f"threats.lists={self.folder / 'threats.txt'}"], check=True, capture_output=True, timeout=300)
        shown = tapir("suspects", "--state", out)
        self.assertRegex(shown, r"^2026-09-21T14:00Z +100 +evil\.se\. +threat_list +threat list 1 names the domain\n$")
        self.assertNotIn("victim", shown)
        line = json.loads(tapir("suspects", "--state", out, "--json"))
        self.assertEqual((line["domain"], line["leaves"], line["score"]), ("evil.se.", False, 100))
        self.assertEqual(tapir("suspects", "--state", out, "--day", "2026-09-20"), "no suspects\n")
        [day] = (out / "suspects").iterdir()
        self.assertEqual(stat.S_IMODE(day.stat().st_mode), 0o600)
        with day.open("a") as file:
            file.write('{"domain":"tor')
        self.assertIn("1 lines cannot be read", tapir("suspects", "--state", out))
        self.assertEqual(tapir("suspects", "--state", self.folder), "no suspects\n")
        self.assertIn("nowhere", tapir("suspects", "--state", self.folder / "nowhere", status=1))

    def test_sessions(self):
        """Sealed by the twin, decrypted by the operator; what was erased or changed is refused."""
        (self.folder / "pan.key").write_text("words of the operator\n")
        (self.folder / "pan.key").chmod(0o600)
        frames = [dnstap_response(dns_answer("www.fresh-name.se"), bytes([10, 0, 0, n]), 1_790_000_040)
                  for n in range(20)]
        (self.folder / "in.fstrm").write_bytes(capture(frames))
        for how in ([], ["--sessions-plain"]):
            subprocess.run([BIN / "tapir-edge", "process", self.folder / "in.fstrm", "--out",
                            self.folder / ("plain" if how else "sealed"), "--set", "sessions.enabled=true",
                            "--set", f"sessions.cryptopan_key_file={self.folder / 'pan.key'}",
                            "--set", "sessions.cryptopan_salt=salt-of-our-own", *how],
                           check=True, capture_output=True, timeout=300)
        [plain] = (self.folder / "plain/sessions").iterdir()
        folder = self.folder / "sealed/sessions"
        [sealed] = (folder / "2026-09-21").iterdir()
        self.assertRegex(tapir("session", "list", folder), r"2026-09-21 +1 +\d+  there")
        tapir("session", "decrypt", sealed)
        out = sealed.with_suffix("")
        self.assertEqual(out.read_bytes(), plain.read_bytes())
        self.assertEqual(stat.S_IMODE(out.stat().st_mode), 0o600)
        self.assertIn("is there already", tapir("session", "decrypt", sealed, status=1))
        changed = bytearray(sealed.read_bytes())
        changed[-20] ^= 1
        (self.folder / "changed.sealed").write_bytes(changed)
        key = folder / "keys/2026-09-21.key"
        self.assertIn("chunk 0", tapir("session", "decrypt", self.folder / "changed.sealed", "--key", key, status=1))
        self.assertFalse((self.folder / "changed").exists())
        key.unlink()
        self.assertIn("has been erased",
                      tapir("session", "decrypt", sealed, "--out", self.folder / "again", status=1))
        self.assertRegex(tapir("session", "list", folder), r"2026-09-21 +1 +\d+  erased")

    def test_lists_are_compiled_and_asked(self):
        names = self.folder / "names.txt"
        names.write_text("Example.com\n.example.org\n# why\n\nexample.com.\n")
        index, dawg = self.folder / "names.tapirlist", self.folder / "names.dawg"
        for out in (index, dawg):
            said = tapir("list", "compile", names, "--out", out)
            self.assertIn("2 entries, 1 duplicates left out, 0 that nothing can match", said)
            self.assertIn("1 written with capitals", said)
            self.assertEqual([path.name for path in self.folder.iterdir() if ".tmp" in path.name], [])
        for path in (names, index, dawg, SOURCE / "libs/names/golden/edm/well-known.dawg"):
            self.assertIn("not listed", tapir("list", "lookup", path, "no-such-name.se"))
        for path, places in ((names, "01"), (index, "01"), (dawg, "10")):  # a DAWG's order is its own
            said = tapir("list", "lookup", path, "EXAMPLE.com", "a.b.example.org", "example.org").splitlines()
            self.assertTrue(said[0].endswith(f"example.com.  exact  {places[0]}"), said)
            self.assertTrue(said[1].endswith(f".example.org.  suffix  {places[1]}"), said)
            self.assertTrue(said[2].endswith("not listed"), said)
        names.write_text("good.se\n" + "x" * 64 + ".se\n")
        before = dawg.read_bytes()
        self.assertIn("names.txt:2:", tapir("list", "compile", names, "--out", dawg, status=1))
        self.assertEqual(dawg.read_bytes(), before, "what was there stays")

    def test_lists_are_what_the_existing_compiler_makes(self):
        golden = SOURCE / "libs/names/golden/dawg"
        out = self.folder / "out.dawg"
        for name, form in (("mixed.txt", "edm"), ("top5k.txt", "edm"), ("empty.txt", "edm"), ("ranked.csv", "edm-csv")):
            tapir("list", "compile", golden / name, "--format", form, "--out", out)
            self.assertEqual(out.read_bytes(), (golden / name).with_suffix(".dawg").read_bytes(), name)
        self.assertIn("1 duplicates", tapir("list", "compile", golden / "duplicates.txt", "--format", "edm", "--out", out))
        tapir("list", "convert", golden / "top100k.dawg", "--out", self.folder / "top.txt")
        tapir("list", "compile", self.folder / "top.txt", "--out", out)
        self.assertEqual(out.read_bytes(), (golden / "top100k.dawg").read_bytes())

    def test_lists_are_converted_and_compared(self):
        names, csv, text = (self.folder / name for name in ("names.txt", "names.csv", "again.txt"))
        names.write_text("b.example.\n.a.example.\nc\\,d.example.\n")
        tapir("list", "convert", names, "--out", csv)
        self.assertEqual(csv.read_text(), 'rank,name\n1,b.example.\n2,.a.example.\n3,"c,d.example."\n')
        index = self.folder / "names.tapirlist"
        tapir("list", "compile", csv, "--out", index)
        tapir("list", "convert", index, "--out", text, "--to", "text")
        self.assertEqual(text.read_text(), "b.example.\n.a.example.\nc,d.example.\n")
        text.write_text("b.example.\na.example.\n")
        self.assertEqual(tapir("list", "diff", index, text),
                         "- .a.example.\n- c,d.example.\n+ a.example.\n1 added, 2 removed, 1 kept\n")
        self.assertEqual(tapir("list", "diff", "--summary", csv, index), "0 added, 0 removed, 3 kept\n")
        said = tapir("list", "stat", index)
        self.assertIn("entries     2 exact, 1 suffix", said)
        self.assertIn("version     " + hashlib.sha256(index.read_bytes()).hexdigest(), said)
        self.assertIn("words       2", tapir("list", "stat", SOURCE / "libs/names/golden/dawg/upper.dawg"))

    def test_lists_that_are_damaged_are_refused(self):
        names, index = self.folder / "names.txt", self.folder / "names.tapirlist"
        names.write_text("a.example\n")
        tapir("list", "compile", names, "--out", index)
        octets = bytearray(index.read_bytes())
        octets[-3] ^= 1
        index.write_bytes(octets)
        self.assertIn(f"{index}: name index: damaged", tapir("list", "stat", index, status=1))
        index.write_bytes(octets[:100])
        self.assertIn(f"{index}: name index: expected", tapir("list", "lookup", index, "a.example", status=1))
        self.assertIn("--to: expected index, dawg, text or csv, got 'xml'",
                      tapir("list", "convert", names, "--out", index, "--to", "xml", status=1))
        self.assertIn("--format: expected text, csv, edm, edm-csv, dawg or index, got 'xml'",
                      tapir("list", "stat", names, "--format", "xml", status=1))

    def test_what_an_edge_made_is_shown(self):
        out = self.process()
        histogram, = (out / "histograms").iterdir()
        shown = tapir("show", histogram)
        self.assertIn("listed", shown)
        self.assertIn("1 of 1 rows", shown)
        for messages in (out / "events.jsonl", out / "batches/0000000000/new_qname.json"):
            shown = tapir("show", messages)
            self.assertIn('"qname": "fresh-name.se."', shown)
            self.assertIn("2 messages", shown)
        (self.folder / "one.json").write_text((out / "events.jsonl").read_text().splitlines()[0])
        self.assertIn("1 messages", tapir("show", self.folder / "one.json"))
        self.assertIn('"profile": "standard"', tapir("show", out / "ledger"))
        self.assertIn('"profile": "standard"', tapir("show", out / "ledger/tile/entries/000.p/1"))
        self.assertIn("offline.invalid/ledger", tapir("show", out / "ledger/checkpoint"))
        (self.folder / "noise").write_bytes(bytes(range(256)))
        self.assertIn("expected Parquet, JWS, JSON", tapir("show", self.folder / "noise", status=1))

    def test_every_change_to_a_ledger_is_found(self):
        out = self.process()
        self.assertIn("1 leaves", tapir("ledger", "verify", out / "ledger"))
        paths = [path.relative_to(out) for top in ("ledger", "batches", "histograms") for path in (out / top).rglob("*")
                 if path.is_file() and path.name != "verifier"]
        self.assertEqual(len(paths), 6, paths)
        for path in paths:
            changed = self.folder / "changed"
            shutil.copytree(out, changed)
            octets = bytearray((changed / path).read_bytes())
            octets[len(octets) // 2] ^= 1
            (changed / path).write_bytes(octets)
            self.assertTrue(tapir("ledger", "verify", changed / "ledger", status=1), path)
            (changed / path).unlink()
            gone = path.parts[0] != "ledger"
            said = tapir("ledger", "verify", changed / "ledger", status=0 if gone else 1)
            self.assertTrue("1 are not here" in said if gone else said, path)
            shutil.rmtree(changed)
        other = "offline.invalid/ledger+00000000+" + "A" * 44
        tapir("ledger", "verify", out / "ledger", "--verifier", other, status=1)

    def test_replay(self):
        (self.folder / "in.fstrm").write_bytes(capture([b"one", b"three", b"five"]))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / "dnstap.sock"))
        listener.listen()
        heard = bytearray()

        def serve():
            peer, _ = listener.accept()
            with peer:
                heard.extend(peer.recv(4096))  # READY
                peer.sendall(control(ACCEPT, CONTENT))  # ACCEPT
                while chunk := peer.recv(4096):
                    heard.extend(chunk)
                    if heard.endswith(control(STOP)):
                        peer.sendall(control(FINISH))

        server = threading.Thread(target=serve)
        server.start()
        said = tapir("replay", self.folder / "in.fstrm", "--to", f"unix:{self.folder}/dnstap.sock", "--times", 2, "--rate", 1000)
        server.join(30)
        listener.close()
        self.assertIn("6 frames", said)
        self.assertEqual(bytes(heard).count(struct.pack(">I", 5) + b"three"), 2)
        self.assertTrue(tapir("replay", self.folder / "in.fstrm", "--to", "unix:/nowhere", status=1))

    def test_wrong_words(self):
        for words in ((), ("no-such-command",), ("list",), ("show",), ("explain", "a.se", "--url", "http://127.0.0.1:1")):
            self.assertTrue(tapir(*words, status=1), words)


if __name__ == "__main__":
    unittest.main()
