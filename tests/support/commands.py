# SPDX-License-Identifier: BSD-3-Clause
"""Runs a program to its end, and tshark over a capture; what went wrong is an exception with words."""
import subprocess


class CommandFailed(Exception):
    """A program that ended with another status than 0; the text has the end of what it said."""


def run(*command, timeout=900):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          errors="replace", timeout=timeout, check=False)
    if done.returncode != 0:
        raise CommandFailed(f"status {done.returncode} from {' '.join(map(str, command))[:300]}\n"
                            f"{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def tshark(capture, preferences, *arguments):
    """What it prints; names are not resolved, and preferences stand as `name:value`."""
    chosen = [part for preference in preferences for part in ("-o", preference)]
    return run("tshark", "-n", "-r", capture, *chosen, *arguments)
