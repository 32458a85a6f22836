#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""HTTP captures through a chain that edits lengths, and what tshark reassembles of what left.

    round_trip_test.py GLASSBOX [--only NAME]

Each capture is replayed in closed loop through tests/replay/chains/http.yaml, and looked at from two
taps: what was presented and what left on a side, in the order in which it passed. For every TCP
stream tshark's reassembly (follow,tcp,raw) of what left must be the captured stream with the
services' edits applied by http_words.py, and the objects it exports (--export-objects http) those of
the capture, substituted. No acknowledgement of what was not seen, no gap and no bad checksum may
be there that the capture does not have. Exit status 77, aloud, without tshark.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFEREE = ROOT / "tests" / "independent"
sys.path[:0] = [str(REFEREE), str(ROOT / "tests" / "support")]
import commands  # noqa: E402
import http_words as words  # noqa: E402
import pcapfile  # noqa: E402

WORKLOADS = pathlib.Path(os.environ.get("GLASSBOX_WORKLOADS", ROOT.parent / "shared" / "workloads"))
CHAIN = ROOT / "tests" / "replay" / "chains" / "http.yaml"
OPTIONS = ("tcp.check_checksum:TRUE", "ip.check_checksum:TRUE", "ip.defragment:TRUE")
MISSING = b" bytes missing in capture file]"
ANALYSIS = ("tcp.analysis.ack_lost_segment", "tcp.analysis.lost_segment")
EXCHANGES = 6  # docs/opes.md: requests under way, beyond which a connection passes unread


class Failed(Exception):
    pass


def tshark(capture, *arguments):
    return commands.tshark(capture, OPTIONS, *arguments)


# --- streams -------------------------------------------------------------------------------------


def analysed(capture):
    """Of each TCP stream: its ends, whether it opens, and how often something was amiss."""
    names = ("tcp.stream", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport",
             "tcp.flags", *ANALYSIS)
    rows = tshark(capture, "-Y", "tcp", "-T", "fields", "-E", "occurrence=f", "-E", "separator=/t",
                  *(part for name in names for part in ("-e", name)))
    streams = {}
    for line in rows.splitlines():
        row = (line.split("\t") + [""] * len(names))[:len(names)]
        if not row[0]:
            continue
        source, target = (row[2] or row[1], row[3]), (row[5] or row[4], row[6])
        stream = streams.setdefault(int(row[0]), {"ends": (source, target), "opens": set(),
                                                  "tunnel": bool(row[1] and row[2]),
                                                  "amiss": collections.Counter()})
        flags = int(row[7] or "0", 16)
        if flags & 0x02:
            stream["opens"].add(bool(flags & 0x10))
        for name, value in zip(ANALYSIS, row[8:]):
            stream["amiss"][name] += bool(value)
    return streams


def followed(capture, streams):
    """Both byte strings of each stream by its ends; streams with the same ends in their order."""
    taps = [part for number in streams for part in ("-z", f"follow,tcp,raw,{number}")]
    found, text, ends = collections.defaultdict(list), None, None
    for line in tshark(capture, "-q", *taps).splitlines():
        if line.startswith("Filter: "):
            number = int(line.split()[-1])
            ends = streams[number]["ends"]
        elif line.startswith("Node 0: "):
            # The first node is not always the one that sent first.
            host, port = line[8:].rsplit(":", 1)
            first = (host.strip("[]"), port)
            text = {ends[0]: [], ends[1]: []}
            other = ends[1] if first == ends[0] else ends[0]
            found[frozenset(ends)].append((number, text))
        elif line.startswith("="):
            text = None
        elif text is not None and not line.startswith(("Node 1", "Follow")):
            text[other if line.startswith("\t") else first].append(bytes.fromhex(line.strip()))
    return {ends: [(number, {end: b"".join(parts) for end, parts in text.items()})
                   for number, text in sorted(several, key=lambda item: item[0])]
            for ends, several in found.items()}


def write_taps(folder, linktype):
    """What a tap on each side would have seen: presented and egress packets in order."""
    presented, egress = pcapfile.read(folder / "i.pcapng"), pcapfile.read(folder / "o.pcapng")
    cause = {}
    with open(folder / "p.jsonl", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            for out in line["out"]:
                cause[out["n"]] = line["in"] or 0
    for side in ("inside", "outside"):
        seen = [(p.time, p.index, 0, p.index, p) for p in presented if p.interface == side]
        seen += [(p.time, cause[p.index], 1, p.index, p) for p in egress if p.interface == side]
        seen.sort(key=lambda item: item[:4])
        pcapfile.write_pcapng(folder / f"{side}.pcapng", [item[4] for item in seen], linktype)


# --- one stream ----------------------------------------------------------------------------------


class Tally(collections.Counter):
    """What was looked at, and what was let pass unread and why."""


def check_stream(captured, left, opens, tally):
    """Both directions of one stream, `captured` and `left` being (up, down)."""
    if opens is None or False not in opens:
        tally["streams that do not open in the capture, or in a tunnel"] += 1
        return unread(captured, left)
    requests, up_end, up_why = words.read_messages(captured[0])
    responses, _, down_why = words.read_messages(captured[1], requests)
    gap = any(MISSING in data for data in captured) or True not in opens
    excuse = "a gap" if gap else up_why if up_why not in ("", "cut") else \
        down_why if down_why not in ("", "cut") else \
        "requests ahead of their answers" if len(requests) > EXCHANGES else ""
    if not requests:
        tally["streams that are not HTTP" if captured[0] or captured[1] else "empty streams"] += 1
        if captured[0] and excuse in ("", "a gap"):
            return held(captured, left)
        return unread(captured, left)
    expected = ([(words.expect_request(captured[0], m), m) for m in requests],
                list(expect_responses(captured[1], requests, responses)))
    for direction, data in enumerate(captured):
        messages = [m for _, m in expected[direction]]
        rest = data[messages[-1].end:] if messages else data
        follow(expected[direction], data, rest, left[direction], excuse, tally)
    tally["streams"] += 1
    tally[f"streams that end unread: {excuse.split(' b')[0]}" if excuse else "streams read whole"] += 1
    return None


def expect_responses(data, requests, responses):
    answered = 0
    for message in responses:
        request = requests[answered]
        answered += message.status >= 200
        yield words.expect_response(data, message, request), message


def follow(expected, data, rest, left, excuse, tally):
    """Message by message. With an excuse, what is behind one of them may be as it came."""
    at = 0
    for want, message in expected:
        try:
            at = words.match(want, message, left, at)
        except words.NotHttp as reason:
            rest = data[message.begin:]
            if excuse and (left[at:] == rest or excuse == "a gap" and rest.startswith(left[at:])):
                tally["messages that passed unread"] += data[message.begin:].count(b"HTTP/1.")
                return
            if excuse == "a gap" and MISSING in data[message.begin:]:
                tally["messages cut by a gap"] += 1
                return
            raise Failed(f"message {message.start[:60]!r} ({excuse or 'no excuse'}): {reason}") from reason
        tally["messages"] += 1
        tally["bodies substituted"] += want.framing != "raw" and want.body != message.body
    if left[at:] != rest and not (rest.startswith(left[at:]) and is_head(rest)) and not (
            excuse == "a gap" and rest.startswith(left[at:])):
        raise Failed(f"behind the last message: {left[at:at + 100]!r} instead of {rest[:100]!r}")


def is_head(rest):
    """What may be kept back: a head that is not whole in the capture."""
    return b"\r\n\r\n" not in rest and len(rest) < 8192


def unread(captured, left):
    if captured != left:
        raise Failed(f"it is changed though nothing of it can be read: {captured[0][:60]!r}")


def held(captured, left):
    for came, went in zip(captured, left):
        if came != went and not (came.startswith(went) and is_head(came)):
            raise Failed(f"a head that is not whole: {went[:60]!r} instead of {came[:60]!r}")


# --- one capture ---------------------------------------------------------------------------------


def exported(capture, folder):
    """The objects that tshark finds, as digests and how many there are of each."""
    folder.mkdir()
    tshark(capture, "-q", "--export-objects", f"http,{folder}")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def check_objects(folder, capture, bodies, whole):
    """Each object of the capture is there twice: as it was presented, and on the other side as it left.

    Where segments come twice or out of order tshark exports pieces; those that are the body of no
    message are not counted against anyone.
    """
    came = collections.Counter(digest(data) for data in exported(capture, folder / "objects"))
    left = came - collections.Counter(digest(before) for before, _ in bodies)
    wanted = came + left + collections.Counter(digest(after) for _, after in bodies)
    got = collections.Counter(digest(data) for side in ("inside", "outside")
                              for data in exported(folder / f"{side}.pcapng", folder / f"objects-{side}"))
    missing = [key for key in wanted - got if key in whole]
    others = [key for key in got - wanted if key not in whole]
    if missing or others:
        raise Failed(f"exported objects: {len(missing)} are missing, {len(others)} are others, of "
                     f"{wanted.total()}")
    return came.total()


def check_taps(streams, taps):
    """Nothing is amiss in a stream at a tap that is not in the capture."""
    there = {}
    for stream in streams.values():
        amiss = there.setdefault(frozenset(stream["ends"]), collections.Counter())
        amiss.update(stream["amiss"])
    for side, seen in taps.items():
        for stream in seen.values():
            for name, count in stream["amiss"].items():
                if count and not there[frozenset(stream["ends"])][name]:
                    raise Failed(f"{side}: {count} times {name} in {stream['ends']}")


def streams_of(capture, folder, tally):
    """(captured, left, opens) of every stream, and the checks of what is amiss."""
    streams = analysed(capture)
    sides = {side: analysed(folder / f"{side}.pcapng") for side in ("inside", "outside")}
    check_taps(streams, sides)
    original = followed(capture, streams)
    taps = {side: followed(folder / f"{side}.pcapng", seen) for side, seen in sides.items()}
    for ends, several in original.items():
        for place, (number, text) in enumerate(several):
            client = streams[number]["ends"][0]
            server = streams[number]["ends"][1]
            at = {side: taps[side].get(ends, []) for side in taps}
            if any(len(there) <= place for there in at.values()):
                raise Failed(f"{streams[number]['ends']}: the stream is not at both taps")
            both = {side: at[side][place][1] for side in at}
            # What the client sent is presented on its own side, and leaves on the other.
            near = "inside" if both["inside"][client] == text[client] else "outside"
            far = "outside" if near == "inside" else "inside"
            if both[near][client] != text[client] and MISSING not in text[client] + text[server]:
                raise Failed(f"{streams[number]['ends']}: not presented as it was captured")
            yield ((text[client], text[server]), (both[far][client], both[near][server]),
                   None if streams[number]["tunnel"] else streams[number]["opens"],
                   streams[number]["ends"])
    tally["TCP streams"] += sum(map(len, original.values()))


def check(glassbox, capture):
    tally = Tally()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        i, o, p = (folder / name for name in ("i.pcapng", "o.pcapng", "p.jsonl"))
        commands.run(glassbox, "replay", CHAIN, capture, "--endpoints", "closed", "--presented", i, "--out", o,
            "--packets", p, "--report", folder / "r", "--quiet")
        commands.run(sys.executable, REFEREE / "tshark_checksums.py", i, o, p)
        report = json.loads((folder / "r" / "report.json").read_text())
        if report["conservation"]["balanced"] is not True:
            raise Failed("not balanced")
        first = next(iter(pcapfile.Capture(capture)), None)
        write_taps(folder, first.linktype if first else pcapfile.ETHERNET)
        bodies, whole, wrong = [], set(), []
        for captured, left, opens, ends in streams_of(capture, folder, tally):
            try:
                check_stream(captured, left, opens, tally)
            except Failed as failure:
                wrong.append(f"{ends}: {failure}")
            if opens and len(opens) == 2:
                bodies += bodies_of(captured, whole)
        if wrong:
            raise Failed("\n  ".join([f"{len(wrong)} streams", *wrong[:5]]))
        if not tally.keys() & {"messages cut by a gap", "messages that passed unread"}:
            tally["objects"] = check_objects(folder, capture, bodies, whole)
        agree(report, tally)
    return tally


def bodies_of(captured, whole):
    """(as tshark exports it, as it is to leave) of every response that is substituted; whole: of all."""
    requests, *_ = words.read_messages(captured[0])
    responses, *_ = words.read_messages(captured[1], requests)
    whole.update(digest(words.decoded(message)) for message in requests if message.whole)
    for want, message in expect_responses(captured[1], requests, responses):
        if not message.whole:
            continue
        before = words.decoded(message)
        whole.add(digest(before))
        if want.framing != "raw":
            whole.add(digest(want.body))
            yield before, want.body


def agree(report, tally):
    """What the box says it did is no less than what was found."""
    said = {row["what"]: row["count"] for row in report["findings"] if row["function"] == "http"}
    adapted = said.get("adapted messages (each with a trace)", 0)
    if adapted < tally["messages"] - tally["messages that passed unread"] - 8 * tally["streams"]:
        raise Failed(f"{adapted} adapted messages, {tally['messages']} found")


def captures():
    found = [ROOT / "configs" / "demo.pcap"]
    if not WORKLOADS.is_dir():
        print(f"SKIP: no captures in {WORKLOADS}: only the project's own is looked at")
        return found
    names = [line.split("\t") for line in (WORKLOADS / "MANIFEST.tsv").read_text().splitlines()]
    request, response = names[0].index("http_req"), names[0].index("http_resp")
    return found + [WORKLOADS / row[0] for row in names[1:] if row[request] + row[response] != "00"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glassbox", type=pathlib.Path)
    parser.add_argument("--only", help="captures whose name holds this")
    options = parser.parse_args()
    if shutil.which("tshark") is None:
        print("SKIP: tshark is not installed")
        return 77
    chosen = [c for c in captures() if not options.only or options.only in c.name]
    total, failed = Tally(), 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        work = {pool.submit(check, options.glassbox.resolve(), capture): capture for capture in chosen}
        for future in concurrent.futures.as_completed(work):
            try:
                tally = future.result()
                total.update(tally)
                print(f"{work[future].name}: " + ", ".join(f"{n} {what}" for what, n in tally.items()),
                      flush=True)
            except (Failed, commands.CommandFailed, subprocess.TimeoutExpired) as failure:
                failed += 1
                print(f"FAILED {work[future].name}: {failure}", flush=True)
    for what, count in sorted(total.items()):
        print(f"{count:8} {what}")
    if not total["bodies substituted"]:
        print("FAILED: nothing was substituted anywhere")
        failed += 1
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
