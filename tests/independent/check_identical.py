#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Packet-for-packet identity of two captures: bytes, times, original lengths, link types."""

import argparse
import itertools
import sys

import ledger
import pcapfile


def check(first, second, clamped):
    """The whole check; gives the exit status."""
    failures, latest, count = ledger.Failures(), 0, 0
    for a, b in itertools.zip_longest(pcapfile.Capture(first), pcapfile.Capture(second)):
        count += 1
        if a is None or b is None:
            failures.add(f"packet {count}", f"is only in {first if b is None else second}")
            continue
        latest = max(latest, a.time)
        pairs = (("bytes", a.data, b.data), ("original length", a.original, b.original),
                 ("link type", a.linktype, b.linktype),
                 ("time", latest if clamped else a.time, b.time))
        for name, before, after in pairs:
            if before != after:
                shown = "" if name == "bytes" else f": {before} -> {after}"
                failures.add(f"packet {count}", f"{name} differ{shown}")
    return failures.report(f"{count} packets compared")


def main(argv=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--clamped-time", action="store_true",
                        help="time that runs backwards in the first was clamped in the second")
    args = parser.parse_args(argv)
    try:
        return check(args.first, args.second, args.clamped_time)
    except (OSError, pcapfile.CaptureError) as error:
        print(f"FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
