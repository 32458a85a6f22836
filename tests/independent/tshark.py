# SPDX-License-Identifier: BSD-3-Clause
"""Runs tshark for a second opinion, one frame at a time and without reassembly."""

import shutil
import subprocess

_OPTIONS = ("ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE",
            "tcp.relative_sequence_numbers:FALSE")


class TsharkError(Exception):
    """What tshark said when it failed."""


def available():
    """Whether there is a tshark to ask."""
    return shutil.which("tshark") is not None


def rows(path, names, options=(), first=False):
    """One list of strings for each frame; several values of a field are joined by commas."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t",
               "-E", "occurrence=" + ("f" if first else "a")]
    for option in (*_OPTIONS, *options):
        command += ["-o", option]
    for name in names:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise TsharkError(f"tshark {path}: {done.stderr.strip().splitlines()[-1:]}")
    return [line.split("\t") for line in done.stdout.splitlines()]
