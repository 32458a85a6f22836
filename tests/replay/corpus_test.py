#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Replays every capture at hand through several chains and has the outcome refereed.

    corpus_test.py GLASSBOX [--tshark]

Captures: configs/demo.pcap always; those in $GLASSBOX_WORKLOADS or ../shared/workloads when there.
For each: the books balance; the wire is identical, packet for packet; what differs between presented
and egress packets is what was claimed, byte by byte (tests/independent, which shares no code with
glassbox), in open and in closed loop; the staircase nests on every flow, and a wire holds all of it;
the same replay twice gives the same bytes; reports fit their schema. With --tshark, its
verdict on checksums and on whole connections behind the NAT too.
"""
import argparse
import concurrent.futures
import csv
import filecmp
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFEREE = ROOT / "tests" / "independent"
CHAINS = {
    "demo": ROOT / "configs" / "demo.yaml",
    "firewall": ROOT / "tests" / "replay" / "chains" / "firewall.yaml",
    "http": ROOT / "tests" / "replay" / "chains" / "http.yaml",
    "nat44": ROOT / "tests" / "replay" / "chains" / "nat44.yaml",
    "random": ROOT / "tests" / "replay" / "chains" / "random.yaml",
}
# What `firewall` drops as out-of-window; of every other capture, nothing. In all but one the capture
# lacks what is acknowledged (or the acknowledgement), which a box in the path would have seen.
UNSEEN = "acknowledges bytes that are not in the capture"
OUT_OF_WINDOW = {
    "dns-tcp-pipelined-with-gap.pcap": (2, UNSEEN),
    "http-ipv6-1000-requests-one-lost-response.pcap": (1, UNSEEN),
    "http-jpeg-orphan-ip-fragments.pcap": (13, UNSEEN + " (first fragments are missing)"),
    "http-multi-connection-browse-keepalive.pcap": (1, UNSEEN),
    "http-range-206-zero-window-sack-retrans.pcap": (518, "sent into a closed window; not taken"),
    "malformed-fuzz-http-tcp-flags.pcap": (9, "numbers that a fuzzer wrote; " + UNSEEN),
    "tcp-reassembly-gaps-ooo.pcap": (3, UNSEEN),
    "tcp-retransmit-partial-overlap.pcap": (2, UNSEEN),
    "tls13-sni-56-connections-plus-quic.pcapng": (1, UNSEEN),
}
OUTPUTS = ("i.pcapng", "o.pcapng", "p.jsonl")


class Failed(Exception):
    pass


def run(*command, expect=0):
    """Runs a command; its output is the failure's text when the status is another."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900)
    if done.returncode != expect:
        raise Failed(f"status {done.returncode} from {' '.join(map(str, command))}\n"
                     f"{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def replay(glassbox, config, capture, folder, *options):
    folder.mkdir()
    run(glassbox, "replay", config, capture, "--presented", folder / "i.pcapng",
        "--out", folder / "o.pcapng", "--packets", folder / "p.jsonl",
        "--report", folder / "r", "--quiet", *options)
    report = json.loads((folder / "r" / "report.json").read_text())
    if report["conservation"]["balanced"] is not True:
        raise Failed(f"not balanced: {report['conservation']}")
    return folder


def check_wire(glassbox, capture, folder):
    """The wire is identical, and every flow climbs all four steps: nobody waits, nobody is refused."""
    config = ROOT / "configs" / "wire.yaml"
    folder.mkdir()
    for model in ("open", "closed"):
        run(glassbox, "replay", config, capture, "--out", folder / f"{model}.pcapng", "--quiet",
            "--report", folder / model, "--endpoints", model)
        run(sys.executable, REFEREE / "check_identical.py", capture, folder / f"{model}.pcapng",
            "--clamped-time")
        report = json.loads((folder / model / "report.json").read_text())
        stairs = check_staircase(report)
        if any(step["flows"] != report["flows"]["wanted"] for step in stairs.values()):
            raise Failed(f"{model}: the wire does not hold every step: {stairs}")


def check_staircase(report):
    """As many flows reach a step as hold it: no flow holds one and lacks the next."""
    stairs = report["transparency"]["staircase"]
    alone = report["transparency"]["predicates"]
    for predicate, (name, step) in zip(("P0", "P1", "P2", "P3"), stairs.items()):
        if step["flows"] != alone[predicate]["flows"]:
            raise Failed(f"{alone[predicate]['flows']} flows hold {predicate}, of which "
                         f"{step['flows']} reach {name}: the steps do not nest")
    return stairs


def check_closed(glassbox, config, capture, folder):
    """Hosts that wait and send again: the same books, and no flow fares worse than without."""
    closed = replay(glassbox, config, capture, folder, "--endpoints", "closed")
    i, o, p = (closed / name for name in OUTPUTS)
    run(sys.executable, REFEREE / "check_claims.py", i, o, p, "--capture", capture,
        "--report", closed / "r" / "report.json", "--comments", "--closed")
    if config.stem == "nat44":
        run(sys.executable, REFEREE / "check_staircase.py", capture, i, o, p,
            "--report", closed / "r" / "report.json")
    opened = json.loads((folder.parent / config.stem / "r" / "report.json").read_text())
    report = json.loads((closed / "r" / "report.json").read_text())
    for name, step in check_staircase(report).items():
        if name in ("stream_exact", "completes") and \
                step["flows"] < opened["transparency"]["staircase"][name]["flows"]:
            raise Failed(f"{name}: {step['flows']} flows in closed loop, more in open loop")


def check_windows(capture, report):
    dropped = sum(row["packets"] for row in report["drops"] if row["reason"] == "out-of-window")
    expected, why = OUT_OF_WINDOW.get(capture.name, (0, "nothing there is"))
    if dropped != expected:
        raise Failed(f"{dropped} packets out of their window, expected {expected}: {why}")


def check_chain(glassbox, config, capture, folder, tshark):
    replay(glassbox, config, capture, folder)
    check_staircase(json.loads((folder / "r" / "report.json").read_text()))
    i, o, p = (folder / name for name in OUTPUTS)
    run(sys.executable, REFEREE / "check_claims.py", i, o, p, "--capture", capture,
        "--report", folder / "r" / "report.json", "--comments")
    if config.stem == "firewall":
        check_windows(capture, json.loads((folder / "r" / "report.json").read_text()))
    if config.stem == "nat44":
        run(sys.executable, REFEREE / "check_staircase.py", capture, i, o, p,
            "--report", folder / "r" / "report.json")
    if tshark and config.stem in ("demo", "http", "nat44"):
        run(sys.executable, REFEREE / "tshark_checksums.py", i, o, p)
    if tshark and config.stem in ("demo", "nat44"):
        run(sys.executable, REFEREE / "check_whole.py", capture, o, p, "--presented", i,
            "--report", folder / "r" / "report.json", "--policy", "inspect")


def check_repeatable(glassbox, config, capture, folder):
    first = replay(glassbox, config, capture, folder / "1", "--endpoints", "closed")
    second = replay(glassbox, config, capture, folder / "2", "--endpoints", "closed")
    for name in OUTPUTS + ("r/report.json", "r/report.html"):
        if not filecmp.cmp(first / name, second / name, shallow=False):
            raise Failed(f"{name} differs between two equal replays")


def check_schema(folder):
    reports = sorted(folder.glob("*/r/report.json"))
    run(sys.executable, ROOT / "tests" / "control" / "report_schema.py",
        ROOT / "control" / "report" / "report.schema.json", *reports)


def chains_for(capture):
    """The demo's chain is made for its own capture; http has work where somebody speaks it."""
    own = capture.parent.name == "configs"
    speaks = own or any(word in capture.name for word in ("http", "web", "lan", "smart"))
    every = bool(os.environ.get("GLASSBOX_TEST_FULL"))
    return {name: config for name, config in CHAINS.items()
            if (name != "demo" or own) and (name != "http" or speaks or every)}


def check_capture(glassbox, capture, tshark):
    """Everything about one capture; returns the list of failures."""
    failures = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        checks = [("wire", lambda: check_wire(glassbox, capture, folder / "wire"))]
        chains = chains_for(capture)
        for name, config in chains.items():
            checks.append((name, lambda name=name, config=config: check_chain(
                glassbox, config, capture, folder / name, tshark)))
        for name in chains.keys() & {"nat44", "http"}:
            checks.append((f"closed {name}", lambda name=name: check_closed(
                glassbox, CHAINS[name], capture, folder / f"closed-{name}")))
        (folder / "twice").mkdir()
        checks.append(("twice", lambda: check_repeatable(glassbox, CHAINS["random"], capture,
                                                         folder / "twice")))
        checks.append(("schema", lambda: check_schema(folder)))
        for name, check in checks:
            try:
                check()
            except (Failed, subprocess.TimeoutExpired) as error:
                failures.append(f"{capture.name}: {name}: {error}")
    return len(checks), failures


def captures():
    found = [ROOT / "configs" / "demo.pcap"]
    folder = pathlib.Path(os.environ.get("GLASSBOX_WORKLOADS", ROOT.parent / "shared" / "workloads"))
    if not folder.is_dir():
        print(f"SKIP: no captures in {folder}: only the project's own is replayed")
        return found
    with open(folder / "MANIFEST.tsv", encoding="utf-8") as manifest:
        rows = list(csv.DictReader(manifest, delimiter="\t"))
    found += [folder / row["file"] for row in rows]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glassbox", type=pathlib.Path)
    parser.add_argument("--tshark", action="store_true")
    parser.add_argument("--only", help="captures whose name holds this")
    options = parser.parse_args()
    passed = failed = 0
    chosen = [c for c in captures() if not options.only or options.only in c.name]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        work = {pool.submit(check_capture, options.glassbox.resolve(), capture, options.tshark): capture
                for capture in chosen}
        for future in concurrent.futures.as_completed(work):
            checks, failures = future.result()
            failed += len(failures)
            passed += checks - len(failures)
            for failure in failures:
                print(f"FAILED {failure}\n", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
