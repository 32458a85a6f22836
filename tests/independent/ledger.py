# SPDX-License-Identifier: BSD-3-Clause
"""Reads the JSON lines of `--packets` and holds each to the contract.

Nothing is taken from a line that its types do not allow: a checker that crashes on a bad line
would report the wrong thing.
"""

import json
import re

SIDES = ("inside", "outside")
VERDICTS = ("forward", "drop", "hold", "merge", "prevented", "inject")
_KEYS = ("n", "in", "t", "side", "flow", "verdict", "effects", "out")
_TIME = re.compile(r"(\d+)\.(\d{9})")
_SHOWN = 20


class Failures:
    """Counts what is wrong and keeps the first few for a person to read."""

    def __init__(self):
        self.count = 0
        self.shown = []
        self.notes = {}

    def add(self, where, text):
        """One thing that is wrong, with the packet or line it is wrong in."""
        self.count += 1
        if len(self.shown) < _SHOWN:
            self.shown.append(f"{where}: {text}")

    def note(self, text, count=1):
        """Something not checked or worth telling, counted."""
        self.notes[text] = self.notes.get(text, 0) + count

    def report(self, summary):
        """Prints the outcome and gives the exit status."""
        print(summary)
        for text, count in sorted(self.notes.items()):
            print(f"  note: {text}: {count}")
        for text in self.shown:
            print(f"  FAIL {text}")
        if self.count > len(self.shown):
            print(f"  ... and {self.count - len(self.shown)} more")
        print("OK" if not self.count else f"FAILED: {self.count}")
        return 1 if self.count else 0


def where(line):
    """How a failure names a packet."""
    return f"n {line['n']} in {line['in']} ({line['verdict']})"


def nanoseconds(text):
    """A stamp of nine decimals as an integer, or nothing if it is not one."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    return int(match[1]) * 1_000_000_000 + int(match[2]) if match else None


def load(path, failures):
    """The lines that keep the contract; the others are failures."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                line = json.loads(text)
            except ValueError as error:
                failures.add(f"line {number}", f"no JSON: {error}")
                continue
            problem = _problem(line)
            if problem:
                failures.add(f"line {number}", problem)
            else:
                lines.append(line)
    return lines


def claimed(line):
    """Every field that some function claims to have changed."""
    return {field for effect in line["effects"] for field in effect["fields"]}


def _is_index(value):
    return type(value) is int and value >= 1


def _problem(line):
    """What breaks the contract in a line, or nothing."""
    if not isinstance(line, dict):
        return "no JSON object"
    for key in _KEYS:
        if key not in line:
            return f"no key {key!r}"
    verdict = line["verdict"]
    if verdict not in VERDICTS:
        return f"unknown verdict {verdict!r}"
    if nanoseconds(line["t"]) is None:
        return f"t is {line['t']!r}, not seconds with nine decimals"
    injected = verdict == "inject"
    if line["side"] not in SIDES and not (injected and line["side"] is None):
        return f"side is {line['side']!r}"
    if line["flow"] is not None and type(line["flow"]) is not int:
        return f"flow is {line['flow']!r}"
    return (_problem_of_numbers(line, verdict, injected) or _problem_of_effects(line["effects"])
            or _problem_of_outs(line["out"]) or _problem_of_outcome(line, verdict))


def _problem_of_numbers(line, verdict, injected):
    if injected != (line["n"] is None) or not (injected or _is_index(line["n"])):
        return f"n is {line['n']!r} for {verdict}"
    absent = verdict in ("inject", "prevented")
    if absent != (line["in"] is None) or not (absent or _is_index(line["in"])):
        return f"in is {line['in']!r} for {verdict}"
    return None


def _problem_of_effects(effects):
    if not isinstance(effects, list):
        return "effects is no list"
    for effect in effects:
        if not isinstance(effect, dict) or not isinstance(effect.get("f"), str):
            return f"effect {effect!r} names no function"
        fields = effect.get("fields")
        if not isinstance(fields, list) or not all(isinstance(f, str) for f in fields):
            return f"effect {effect!r} lists no fields"
        if len(set(fields)) != len(fields):
            return f"effect {effect!r} lists a field twice"
    if len({effect["f"] for effect in effects}) != len(effects):
        return "a function has two effects in one line"
    return None


def _problem_of_outs(outs):
    if not isinstance(outs, list):
        return "out is no list"
    for out in outs:
        if not isinstance(out, dict) or not _is_index(out.get("n")):
            return f"out {out!r} has no index"
        if out.get("side") not in SIDES:
            return f"out {out!r} has no side"
    return None


def _problem_of_outcome(line, verdict):
    """Whether verdict, reason and egress packets can go together."""
    outs = len(line["out"])
    if verdict == "drop":
        for key in ("by", "reason"):
            if not isinstance(line.get(key), str) or not line[key]:
                return f"dropped with {key} {line.get(key)!r}"
    elif verdict in ("forward", "prevented") and line.get("by") is not None:
        # Who holds, merged or injected it may be said beside.
        return f"{verdict} has by {line['by']!r}"
    if verdict not in ("forward", "inject") and outs:
        return f"{verdict} has {outs} egress packets"
    if verdict == "inject" and outs != 1:
        return f"injected packet has {outs} egress packets"
    if not outs and any(effect["fields"] for effect in line["effects"]):
        return f"{verdict} claims effects on a packet that never left"
    return None
