# SPDX-License-Identifier: BSD-3-Clause
"""A report in which everything was measured, made up on top of a real one.

The figures are inventions that fit together; they are here to be looked at, not to be right. Names hold
what a hostile capture or rule file could put there.
"""

import copy

EVIL = "</script><img src=x onerror=alert(1)>\"'&amp;"


def share(flows, whole):
    return {"flows": flows, "share": flows / whole}


def forgotten(function, kind, at, compared, recovered, broken, verdict, declared=None):
    unaffected = compared - recovered - broken
    cell = {"phase": "transfer", "next_side": "outside", "protocol": "tcp", "compared": compared,
            "unaffected": unaffected, "recovered": recovered, "broken": broken}
    return {
        "function": function, "kind": kind, "at": f"{at:.9f}", "compared": compared, "untested": 7,
        "unaffected": unaffected, "recovered": recovered, "broken": broken,
        "broken_if_agile": broken - 3 if broken > 20 else None, "bystanders": 2 * (verdict == "H2"),
        "misdelivered": 0, "forgotten": 40, "packets_lost": 3 * recovered,
        "seconds_until_clean": 1.003 if recovered else None, "audit_lost": 3 * (verdict == "A"),
        "verdict": verdict, "declared": declared,
        "contradiction": declared == "soft" and verdict.startswith("H") if declared else None,
        "undeclared_state": function == "inspect" if kind == "all" else None, "cells": [cell],
    }


def forgetting(start):
    rows = []
    for n, at in enumerate((start + 4.25, start + 11.5, start + 19)):
        live = 60 + 20 * n
        rows += [
            forgotten("box", "all", at, live, 6, live // 2 + n, "H1"),
            forgotten("nat44", "all", at, live, 4, live // 2, "H1"),
            forgotten("inspect", "all", at, live, 0, 0, "A"),
            forgotten("nat44", "mapping", at, live, 2, live // 2, "H2", "hard"),
            forgotten("nat44", "session", at, live, 11, 0, "S2", "soft"),
            forgotten("firewall", "connection", at, live, 0, live // 4, "H1", "soft"),
            forgotten("inspect", "stream", at, live, 0, 0, "A", "soft"),
            forgotten("dataplane", "session", at, live, 0, 0, "S1", "soft"),
            forgotten("dataplane", "fragments", at, 0, 0, 0, "untested", "soft"),
        ]
    return rows


def exposure(rows):
    box = [row for row in rows if row["function"] == "box"]
    by_time = [{"at": row["at"], "open_on_wire": row["compared"] + 9, "untested": 7,
                "open_through_box": row["compared"] + 7, "compared": row["compared"],
                "broken": row["broken"], "share": row["broken"] / row["compared"]} for row in box]
    return {**max(by_time, key=lambda row: row["share"]), "by_time": by_time}


def openness():
    table = {
        "TCP options": ["mptcp", "fast-open", "authentication", "unknown-kind", "sack", "timestamps"],
        "ECN": ["negotiation", "ce-mark"],
        "transports": ["sctp", "dccp", "gre", "esp", "udp-lite"],
        "fragments": ["in-order", "out-of-order", "atomic"],
        "unsolicited": ["tcp-syn", "udp", "icmp-echo"],
    }
    rows = []
    for group, probes in table.items():
        for n, probe in enumerate(probes):
            for m, direction in enumerate(("outbound", "inbound")):
                outcome = ("works", "works_changed", "broken")[(n + m + len(group)) % 3]
                rows.append({
                    "probe": probe, "group": group, "rfc": "RFC 8684 3.1", "direction": direction,
                    "asks": f"does {probe} arrive as it was sent", "outcome": outcome,
                    "fields": ["ip.src", "tcp.srcport"] if outcome == "works_changed" else [],
                    "function": None if outcome == "works" else "nat44",
                    "why": None if outcome == "works" else "ip.src" if n else EVIL,
                    "intended": True if outcome == "broken" and n == 0 else None,
                })
    return rows


def complete(report):
    report = copy.deepcopy(report)
    transparency = report["transparency"]
    whole = transparency["flows"]
    steps = zip(("wire_exact", "endpoint_exact", "stream_exact", "completes"), (6, 6, 97, whole - 3))
    transparency["staircase"] = {step: share(flows, whole) for step, flows in steps}
    for flow in range(1, whole - 96):
        transparency["falls"].append({
            "flow": flow, "name": f"tcp 192.168.7.10:{40000 + flow} > 203.0.113.80:80", "step": "P2",
            "packet": 7 * flow, "function": "inspect" if flow % 3 else None, "why": EVIL,
        })
    report["forgetting"] = forgetting(float(report["workload"]["first"]))
    transparency["fate_sharing_exposure"] = exposure(report["forgetting"])
    report["openness"] = openness()
    report["findings"].append({"function": "inspect", "what": EVIL, "count": 1})
    report["workload"]["sides"] = EVIL
    for row in report["awareness"]:
        row.update(consent="none", notified="on block", bypassable=False)
    return report
