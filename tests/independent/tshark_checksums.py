#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tshark's verdict on every checksum before and after the box: never from good to bad."""

import argparse
import sys

import ledger
import tshark

_CHECK = ("ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE")
_STATUS = ("ip.checksum.status", "tcp.checksum.status", "udp.checksum.status",
           "icmp.checksum.status", "icmpv6.checksum.status")
_BAD, _GOOD = "0", "1"


def verdicts(path):
    """For each frame the status values of each protocol, outermost first."""
    rows = tshark.rows(path, ("frame.number",) + _STATUS, _CHECK)
    return [[[_plain(v) for v in cell.split(",") if v] for cell in row[1:]] for row in rows]


def _plain(value):
    """Versions of tshark print a status as a number or as its name."""
    return {"Bad": _BAD, "Good": _GOOD}.get(value, value)


def check(args):
    """The whole check; gives the exit status."""
    failures = ledger.Failures()
    before, after = verdicts(args.presented), verdicts(args.egress)
    lines, compared, good = ledger.load(args.packets, failures), 0, 0
    for line in lines:
        for out in line["out"]:
            if out["n"] > len(after) or (line["in"] or 0) > len(before):
                failures.add(ledger.where(line), "names a packet that is not there")
                continue
            compared += 1
            old = before[line["in"] - 1] if line["in"] else [[]] * len(_STATUS)
            good += sum(values.count(_GOOD) for values in old)
            _compare(line, old, after[out["n"] - 1], failures)
    return failures.report(f"{compared} egress packets compared, {good} good checksums before")


def _compare(line, old, new, failures):
    """A packet the box made itself has no before: nothing in it may be bad."""
    for name, was, now in zip(_STATUS, old, new):
        if line["in"] is None:
            if _BAD in now:
                failures.add(ledger.where(line), f"{name} of a packet made here is bad")
        elif len(was) != len(now):
            failures.note(f"{name} seen a different number of times")
        elif any(a == _GOOD and b == _BAD for a, b in zip(was, now)):
            failures.add(ledger.where(line), f"{name} went from good to bad")


def main(argv=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presented", help="what entered the box (--presented)")
    parser.add_argument("egress", help="what left the box (--out)")
    parser.add_argument("packets", help="JSON lines (--packets)")
    args = parser.parse_args(argv)
    if not tshark.available():
        print("SKIPPED: there is no tshark here, nothing was checked")
        return 0
    try:
        return check(args)
    except (OSError, tshark.TsharkError) as error:
        print(f"FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
