#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds the audit, which sees two captures, against the ledger, which saw it all happen.

    audit_corpus_test.py GLASSBOX [--only NAME]

Every capture (configs/demo.pcap; those of $GLASSBOX_WORKLOADS or ../shared/workloads when there)
goes through the wire and several chains; `glassbox audit` gets what was presented and what left,
nothing else. They agree, in the sense of measurement.md section 6, when

* each exact and each inferred match is the ledger's, with the ledger's fields;
* what is unmatched was not forwarded, what came from nowhere was injected;
* the ledger's totals lie in the audit's intervals: forwarded, missing, injected, split, merged,
  effects by direction and field;
* for each flow that both cut out of the capture alike, P0 and P1 are what the ledger's lines give;
* its JSON fits its schema;
* at most 1 % of the packets are ambiguous, but for the files listed below with their reasons.

With --small, for the sanitizers' build, which is slow, the larger captures are left out unless
GLASSBOX_TEST_FULL=1.
"""
import argparse
import collections
import concurrent.futures
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import audit_schema

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from commands import CommandFailed, run  # noqa: E402

CHAINS = {
    "wire": ROOT / "configs" / "wire.yaml",
    "firewall": ROOT / "tests" / "replay" / "chains" / "firewall.yaml",
    "nat44": ROOT / "tests" / "replay" / "chains" / "nat44.yaml",
    "random": ROOT / "tests" / "replay" / "chains" / "random.yaml",
    "demo": ROOT / "configs" / "demo.yaml",
    "opes": ROOT / "configs" / "opes.yaml",
    "http": ROOT / "tests" / "replay" / "chains" / "http.yaml",
}
# These edit HTTP: of the other captures only each so many-th goes through them, unless
# GLASSBOX_TEST_FULL=1.
EDITING = ("opes", "http")
SAMPLE = 5
MOST_AMBIGUOUS = 0.01
SMALL = 60_000
# (capture, chain): why more than 1 % cannot be told apart.
AMBIGUOUS = {}
# Packets that the ledger calls merged while what they brought never leaves, because the stream has a
# gap (fragments pass it unread) or ends: for two captures they are missing. `http` copies the bytes,
# and does not remember whose they were.
NEVER_LEFT = {
    "http-jpeg-orphan-ip-fragments.pcap": 16,
    "ipv6-ext-headers-atomic-fragment-http.pcap": 3,
    "malformed-fuzz-http-tcp-flags.pcap": 2,
    "tcp-reassembly-gaps-ooo.pcap": 2,
}
# Steps of the audit and of the ledger speak of the same packets, but these are free at the ends
# (measurement.md 3, P1).
FREE = {"ip.id", "ip.dsfield", "ip.ttl", "ipv6.tclass", "ipv6.hlim", "ipv6.flow", "eth.dst",
        "eth.src", "eth.trailer", "vlan.id"}


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class Comparison:
    """One run's ledger and audit, side by side."""

    def __init__(self, ledger, matches, audit):
        self.audit = audit
        self.ledger = {line["in"]: line for line in ledger if line["in"] is not None}
        self.injected = {out["n"]: line for line in ledger if line["verdict"] == "inject"
                         for out in line["out"]}
        self.owner = {out["n"]: line for line in ledger for out in line["out"]}
        self.verdicts = {m["flow"]: m for m in matches if "in" not in m}
        self.matches = [m for m in matches if m.get("in") is not None]
        self.strangers = [m for m in matches if m.get("in", 0) is None]
        self.wrong = []

    def say(self, text):
        self.wrong.append(text)

    def run(self, waiting):
        if len(self.matches) != len(self.ledger):
            self.say(f"{len(self.matches)} packets audited, {len(self.ledger)} in the ledger")
        for match in self.matches:
            self.packet(match)
        for stranger in self.strangers:
            for out in stranger["out"]:
                if out not in self.injected:
                    self.say(f"egress {out} is nobody's for the audit, the ledger has it from "
                             f"in {self.owner[out]['in']}")
        self.totals(waiting)
        self.effects()
        compared = self.flows()
        return self.wrong, compared

    def packet(self, match):
        line = self.ledger[match["in"]]
        outs = sorted(out["n"] for out in line["out"])
        what = f"in {match['in']} ({match['match']})"
        if match["match"] in ("exact", "inferred"):
            if match.get("merged", False) != (line["verdict"] == "merge"):
                return self.say(f"{what}: {'merged into' if match.get('merged') else 'left as'} "
                                f"{match['out']}, by the ledger {line['verdict']} as {outs}")
            if line["verdict"] == "merge":
                return
            perhaps = set(match.get("perhaps", []))
            if not set(match["out"]) <= set(outs) <= set(match["out"]) | perhaps:
                return self.say(f"{what}: left as {match['out']}, by the ledger as {outs} "
                                f"({line['verdict']})")
            fields = sorted(field for effect in line["effects"] for field in effect["fields"])
            if len(outs) == 1 and sorted(match["changed"]) != sorted(set(fields)):
                self.say(f"{what}: changed {match['changed']}, by the ledger {fields}")
        elif match["match"] == "unmatched" and outs:
            self.say(f"{what}: by the ledger it left as {outs}")
        elif match["match"] == "ambiguous" and outs and not set(outs) & set(match["out"]):
            self.say(f"{what}: may be {match['out']}, by the ledger it is {outs}")

    def within(self, name, value, interval):
        if not interval["least"] <= value <= interval["most"]:
            self.say(f"{name}: {value} by the ledger, {interval['least']} to {interval['most']} "
                     "by the audit")

    def totals(self, waiting):
        verdicts = collections.Counter(line["verdict"] for line in self.ledger.values())
        sides = collections.Counter((line["side"], line["verdict"]) for line in
                                    self.ledger.values())
        total = self.audit["packets"]["total"]
        self.within("forwarded", verdicts["forward"], total["forwarded"])
        self.within("missing", verdicts["drop"] + verdicts["hold"] + waiting, total["missing"])
        self.within("injected", len(self.injected), total["injected"])
        for side in ("inside", "outside"):
            balance = self.audit["packets"]["from"][side]
            self.within(f"forwarded from {side}", sides[side, "forward"], balance["forwarded"])
            if not waiting:
                self.within(f"missing from {side}", sides[side, "drop"] + sides[side, "hold"],
                            balance["missing"])
        if self.audit["flows"]["holes"]:
            self.say(f"{self.audit['flows']['holes']} holes in edited streams, which no ledger claims")
        splits = sum(len(line["out"]) - 1 for line in self.ledger.values() if line["out"])
        for name, value in (("split", splits), ("merged", verdicts["merge"] - waiting)):
            self.within(name, value, {"least": total[name], "most": total[f"{name}_most"]})

    def effects(self):
        said = collections.Counter()
        for line in self.ledger.values():
            for field in {field for effect in line["effects"] for field in effect["fields"]}:
                said[line["side"], field] += 1
        found = {(row["direction"], row["field"]): row["packets"]
                 for row in self.audit["effects"]}
        for key in said.keys() | found.keys():
            self.within(f"{key[1]} of packets from {key[0]}", said[key],
                        found.get(key, {"least": 0, "most": 0}))

    def flows(self):
        """P0 and P1 of flows that the ledger and the audit see as the same set of packets."""
        by_ledger, by_audit = collections.defaultdict(list), collections.defaultdict(list)
        for line in self.ledger.values():
            by_ledger[line["flow"]].append(line["in"])
        for match in self.matches:
            by_audit[match["flow"]].append(match["in"])
        alien = collections.Counter(line["flow"] for line in self.injected.values())
        known = {tuple(packets): flow for flow, packets in by_ledger.items() if flow is not None}
        compared = 0
        for verdict in self.verdicts.values():
            holds = [verdict[p] for p in ("P0", "P1", "P2", "P3")]
            if any(a == "yes" != b for a, b in zip(holds, holds[1:])):
                self.say(f"audit flow {verdict['flow']} ({verdict['opener']}): {holds} is no stair")
        for flow, packets in by_audit.items():
            if flow is None or tuple(packets) not in known:
                continue
            number = known[tuple(packets)]
            compared += 1
            p0, p1 = self.predicates(packets, alien[number])
            for name, holds in (("P0", p0), ("P1", p1)):
                said = self.verdicts[flow][name]
                if said != "maybe" and (said == "yes") != holds:
                    self.say(f"flow {number} (in {packets[0]}...): {name} is {holds} by the "
                             f"ledger, {said} by the audit")
        return compared, len(by_audit.keys() - {None})

    def predicates(self, packets, injected):
        p0 = p1 = not injected
        last = {}
        for packet in packets:
            line = self.ledger[packet]
            fields = {field for effect in line["effects"] for field in effect["fields"]}
            once = line["verdict"] == "forward" and len(line["out"]) == 1
            out = line["out"][0]["n"] if once else 0
            p0 = p0 and once and not fields and out > last.get(line["side"], 0)
            last[line["side"]] = max(out, last.get(line["side"], 0))
            p1 = p1 and once and not fields - FREE
        return p0, p1


def check(glassbox, capture, chain):
    """One capture through one chain."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        i, o, p, m = (folder / name for name in ("i.pcapng", "o.pcapng", "p.jsonl", "m.jsonl"))
        run(glassbox, "replay", CHAINS[chain], capture, "--presented", i, "--out", o,
            "--packets", p, "--quiet")
        audit = json.loads(run(glassbox, "audit", i, o, "--matches", m, "--json"))
        waiting = NEVER_LEFT.get(capture.name, 0) if chain in EDITING else 0
        wrong, compared = Comparison(lines_of(p), lines_of(m), audit).run(waiting)
        wrong += audit_schema.wrong_with(audit)
        ambiguous = audit["matches"]["ambiguous"]["ingress"]
        share = ambiguous / max(1, audit["packets"]["total"]["entered"])
        if share > MOST_AMBIGUOUS and (capture.name, chain) not in AMBIGUOUS:
            wrong.append(f"{share:.1%} ambiguous ({ambiguous})")
        return wrong, compared, audit


def captures():
    found = [ROOT / "configs" / "demo.pcap"]
    folder = pathlib.Path(os.environ.get("GLASSBOX_WORKLOADS",
                                         ROOT.parent / "shared" / "workloads"))
    if not folder.is_dir():
        print(f"SKIP: no captures in {folder}: only the project's own is audited")
        return found, set()
    with open(folder / "MANIFEST.tsv", encoding="utf-8") as manifest:
        rows = list(csv.DictReader(manifest, delimiter="\t"))
    others = [row["file"] for row in rows if row["http_req"] + row["http_resp"] == "00"]
    return found + [folder / row["file"] for row in rows], set(others) - set(others[::SAMPLE])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glassbox", type=pathlib.Path)
    parser.add_argument("--only", help="captures whose name holds this")
    parser.add_argument("--small", action="store_true", help="leave out the larger captures")
    parser.add_argument("--chain", choices=CHAINS, action="append")
    options = parser.parse_args()
    glassbox = options.glassbox.resolve()
    everything, no_http = captures()
    if options.only or os.environ.get("GLASSBOX_TEST_FULL"):
        no_http = set()
    work = [(capture, chain) for capture in everything for chain in options.chain or CHAINS
            if (not options.only or options.only in capture.name) and
            (chain not in EDITING or capture.name not in no_http)]
    if options.small and not os.environ.get("GLASSBOX_TEST_FULL"):
        every = len(work)
        work = [pair for pair in work if pair[0].stat().st_size <= SMALL]
        print(f"{every - len(work)} of {every} left out: larger than {SMALL} bytes")
    # The longest first, so that none is left alone at the end.
    work.sort(key=lambda pair: -pair[0].stat().st_size)
    failed = 0
    sums = collections.Counter()

    def one(pair):
        try:
            return pair, *check(glassbox, *pair)
        except (CommandFailed, subprocess.TimeoutExpired) as error:
            return pair, [str(error)], (0, 0), None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (capture, chain), wrong, compared, audit in pool.map(one, work):
            if wrong:
                failed += 1
                print(f"FAILED {capture.name}: {chain}: {len(wrong)} disagreements")
                print("".join(f"    {line}\n" for line in wrong[:6]), flush=True)
            if audit:
                sums.update(flows=compared[1], flows_compared=compared[0],
                            packets=audit["packets"]["total"]["entered"],
                            exact=audit["matches"]["exact"], inferred=audit["matches"]["inferred"],
                            ambiguous=audit["matches"]["ambiguous"]["ingress"])
    print(", ".join(f"{key} {value}" for key, value in sums.items()))
    print(f"{len(work) - failed} passed, {failed} failed")
    return 1 if failed or not work else 0


if __name__ == "__main__":
    sys.exit(main())
