#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bad input to the built program: bad_input_test.py GLASSBOX

Every case ends with the right status, words that name the place and the remedy, and no output file
that looks whole.
"""
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "configs" / "demo.pcap"
WIRE = ROOT / "configs" / "wire.yaml"
NAT = "chain: [ nat44: { pool: 203.0.113.1/32 } ]\n"


class BadInput(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def fails(self, status, *arguments, says=(), config=WIRE, capture=DEMO, outputs=True):
        """Runs a replay that must fail and leave nothing behind."""
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        wanted = ["--out", out / "o.pcapng", "--packets", out / "p.jsonl", "--presented",
                  out / "i.pcapng", "--report", out / "r"] if outputs else []
        done = subprocess.run([str(part) for part in
                               [PROGRAM, "replay", config, capture, *wanted, *arguments]],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stderr)
        for words in (says,) if isinstance(says, str) else says:
            self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, "")
        left = [path.name for path in out.rglob("*") if path.is_file()]
        self.assertEqual(left, [])
        return done

    def test_capture_cut_in_mid_packet(self):
        whole = DEMO.read_bytes()
        self.fails(1, capture=self.file("cut.pcap", whole[:20000]), says=("cut.pcap", "packet"))

    def test_capture_with_a_corrupt_record(self):
        whole = bytearray(DEMO.read_bytes())
        # The length of the fourth record becomes absurd.
        offset = 24
        for _ in range(3):
            offset += 16 + struct.unpack_from("<I", whole, offset + 8)[0]
        struct.pack_into("<I", whole, offset + 8, 0x7fffffff)
        self.fails(1, capture=self.file("corrupt.pcap", bytes(whole)), says=("corrupt.pcap", "4"))

    def test_capture_that_is_none(self):
        self.fails(1, capture=self.file("empty.pcap", b""), says="empty.pcap")
        self.fails(1, capture=self.file("text.pcap", "no capture at all, just words\n"),
                   says="text.pcap")
        self.fails(1, capture=self.folder / "nosuch.pcap", says=("nosuch.pcap", "No such file"))
        self.fails(1, capture=self.folder, says="directory")

    def test_capture_of_another_link_type(self):
        header = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 9)
        self.fails(1, capture=self.file("ppp.pcap", header), says=("ppp.pcap", "PPP", "EN10MB"))

    def test_captures_of_different_link_types(self):
        header = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101)
        self.fails(1, self.file("raw.pcap", header), says=("raw.pcap", "link type"))

    def test_configurations(self):
        cases = {
            "chain: []\nchian: []\n": ":2: unknown key 'chian'",
            NAT.replace("pool", "pol"): "unknown key 'pol'",
            NAT.replace("203.0.113.1/32", "[203.0.113.0/30, 203.0.113.1/32]"): "overlap",
            NAT.replace("203.0.113.1/32", "203.0.113.1/24"): "203.0.113.0/24",
            NAT.replace("/32", "/32, ports: 9-5"): "ports",
            NAT.replace("/32", "/32, udp_timeout: [1]"): "udp_timeout",
            "chain: [ natt44 ]\n": "did you mean 'nat44'",
            "chain: [ firewall: { rules: nosuch.yaml } ]\n": "nosuch.yaml",
            "chain: [\n": "config.yaml:",
            "chain: [ inspect: { rules: [ { id: 1, pattern: \"a(\" } ] } ]\n": "config.yaml:1",
        }
        for text, words in cases.items():
            with self.subTest(text):
                self.fails(2, config=self.file("config.yaml", text), says=("config.yaml", words))

    def test_an_unreadable_configuration(self):
        self.fails(2, config=self.folder / "nosuch.yaml", says="No such file")
        if os.geteuid() == 0:
            return  # root reads everything
        locked = self.file("locked.yaml", "chain: []\n")
        locked.chmod(0)
        self.fails(2, config=locked, says="Permission denied")

    def test_a_full_disk(self):
        for option in ("--out", "--presented", "--packets"):
            with self.subTest(option):
                self.fails(1, option, "/dev/full", outputs=False,
                           says=("/dev/full", "No space left"))

    def test_outputs_that_cannot_be(self):
        self.fails(1, "--out", self.folder / "no" / "such" / "o.pcapng", outputs=False,
                   says="No such file")
        blocked = self.file("blocked", "a file where the report's directory should be")
        self.fails(1, "--report", blocked, outputs=False, says="blocked")

    def test_a_report_on_a_full_disk(self):
        full = self.folder / "full"
        full.mkdir()
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=True,
                           capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            print("SKIP: no tmpfs can be mounted here: a full disk is tested with /dev/full alone")
            return
        self.addCleanup(subprocess.run, ["umount", full], check=False)
        self.fails(1, "--out", full / "o.pcapng", outputs=False, says="No space left")
        self.assertEqual([path.name for path in full.iterdir()], [])


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
