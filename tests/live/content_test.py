#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bodies through `glassbox run` with services that change their lengths, over links that lose.

    content_test.py GLASSBOX

curl (several at a time, on connections that are kept) and a small client that pipelines, against
nginx, through the http chain on net_af_packet ports. Both links lose, repeat and reorder frames in
both directions (rough_links.py); TCP timestamps and SACK are on. Bodies are plain, gzip and chunked, from 0 bytes
to 1 MB, in the long form (GLASSBOX_TEST_FULL=1) 1,000 requests up to 50 MB. Each body must be its
original, substituted, and no transfer may stall. Exit status 77, aloud, without namespaces.
"""

import concurrent.futures
import gzip
import hashlib
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import time

from box import Box
from network import SERVER, in_network, wait_until

FULL = bool(os.environ.get("GLASSBOX_TEST_FULL"))
REQUESTS = 1000 if FULL else 160
SIZES = [0, 1, 100, 1448, 10_000, 100_000, 1_000_000] + ([10_000_000, 50_000_000] if FULL else [])
STALL = 30  # seconds with less than 1 byte each, by curl's own clock
PARALLEL = 8
ROUGHNESS = "4"  # of a thousand frames: lost, repeated, and twice as many late (rough_links.py)
HERE = pathlib.Path(__file__).resolve().parent
WORD, BY = b"function", b"a box in the middle's doing"
SERVICES = """
  - http:
      system: http://opes.example/system
      ports: 8090
      services:
        - { id: mark, do: insert-header, name: X-Adapted-By, value: glassbox, party: provider,
            consent: test }
        - { id: ask, do: insert-header, at: request-out, name: X-Asked-Through, value: glassbox,
            party: provider, consent: test }
        - { id: words, do: substitute, pattern: 'function', by: "%s", party: provider, consent: test }
""" % BY.decode()
NGINX = """
daemon off;
master_process off;
user root;
pid {directory}/content.pid;
error_log {directory}/content.err;
events {{ worker_connections 256; }}
http {{
  access_log off;
  types {{ text/plain txt; }}
  keepalive_requests 100000;
  gzip_types text/plain;
  gzip_min_length 1;
  gzip_http_version 1.0;
  server {{ listen 8090; root {directory}; location /gzip/ {{ alias {directory}/; gzip on; }} }}
}}
"""


# --- the ends ------------------------------------------------------------------------------------


def make_bodies(directory):
    """Text in which the word stands here and there; returns what each is to arrive as."""
    chance, expected = random.Random(3897), {}
    for size in SIZES:
        words = [WORD if chance.random() < 0.01 else
                 bytes(chance.choices(b"abcdefghijklmnopqrst", k=chance.randrange(2, 12)))
                 for _ in range(min(size, 200_000) // 5 + 1)]
        text = b" ".join(words)
        text = (text * (size // max(1, len(text)) + 1))[:size]
        (directory / f"{size}.txt").write_bytes(text)
        expected[size] = text.replace(WORD, BY)
    return expected


def curl(network, number, wanted, expected):
    """One curl with several URLs on one connection. What went wrong; and the slowest, in seconds."""
    folder = network.directory / f"curl{number}"
    folder.mkdir()
    command = ["curl", "--silent", "--show-error", "--speed-limit", "1", "--speed-time", str(STALL),
               "--write-out", "%{url} %{http_code} %{time_total} %{num_connects}\\n"]
    for i, (way, size) in enumerate(wanted):
        coded = ["--header", "Accept-Encoding: gzip"] if way == "gzip" else []
        command += (["--next", "--silent", "--show-error", "--speed-limit", "1", "--speed-time",
                     str(STALL), "--write-out",
                     "%{url} %{http_code} %{time_total} %{num_connects}\\n"] if i else [])
        command += [*coded, "--output", str(folder / str(i)),
                    f"http://{SERVER}:8090/{'gzip/' if way == 'gzip' else ''}{size}.txt"]
    done = network.on("client", *command, timeout=1800, check=False)
    wrong = [f"curl {number}: status {done.returncode} {done.stderr.strip()}"] if done.returncode else []
    slowest = 0.0
    for line in done.stdout.splitlines():
        slowest = max(slowest, float(line.split()[2]))
    for i, (way, size) in enumerate(wanted):
        try:
            got = (folder / str(i)).read_bytes() if (folder / str(i)).exists() else b""
            if way == "gzip" and got[:2] == b"\x1f\x8b":
                got = gzip.decompress(got)
        except (OSError, EOFError) as error:
            wrong.append(f"curl {number}: {way} {size}: {error}")
            continue
        if hashlib.sha256(got).digest() != hashlib.sha256(expected[size]).digest():
            wrong.append(f"curl {number}: {way} {size}: {len(got)} bytes, "
                         f"{len(expected[size])} expected")
        (folder / str(i)).unlink(missing_ok=True)
    return wrong, slowest


def pipeline(sizes):
    """Runs inside the client's namespace: asks for all at once, and prints a digest of each body."""
    conversation = socket.create_connection((SERVER, 8090), timeout=STALL)
    conversation.sendall(b"".join(
        b"GET /%d.txt HTTP/1.1\r\nHost: live.example\r\n%s\r\n" %
        (size, b"Connection: close\r\n" if i + 1 == len(sizes) else b"")
        for i, size in enumerate(sizes)))
    came = conversation.makefile("rb")
    for _ in sizes:
        head = {}
        while (line := came.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            head[name.lower()] = value.strip()
        body = b""
        if b"transfer-encoding" in head:
            while (size := int(came.readline().split(b";")[0], 16)) != 0:
                body += came.read(size)
                assert came.read(2) == b"\r\n"
            assert came.readline() == b"\r\n"
        else:
            body = came.read(int(head[b"content-length"]))
        print(hashlib.sha256(body).hexdigest())


# --- the run -------------------------------------------------------------------------------------


def start_nginx(network):
    network.start_nginx("content", NGINX)
    wait_until("nginx listens", lambda: network.listens(8090))


def lay_rough_links(network):
    """Puts a rough link between each host and its port of the box; returns the box's ports."""
    links = []
    for seed, side in enumerate(("in", "out")):
        port, end = f"p{side}", f"r{side}"
        network.on("box", "ip", "link", "add", port, "type", "veth", "peer", "name", end)
        for name in (port, end):
            network.on("box", "ip", "link", "set", name, "up")
        links.append(network.start("box", f"link-{side}.out", sys.executable,
                                   str(HERE / "rough_links.py"), str(seed), ROUGHNESS, side, end))
        wait_until("the link carries", lambda side=side: "carries" in
                   (network.directory / f"link-{side}.out").read_text())
    for role in ("client", "server"):
        for name in ("tcp_timestamps", "tcp_sack"):
            said = network.on(role, "cat", f"/proc/sys/net/ipv4/{name}").stdout.strip()
            assert said == "1", f"{name} is {said}"
    return links, ("net_af_packet0,iface=pin", "net_af_packet1,iface=pout")


def ask(network, expected):
    """All requests; returns (wrong, slowest seconds, bodies, bytes)."""
    wanted = []
    for i in range(REQUESTS):
        size = SIZES[i % len(SIZES)]
        if size >= 10_000_000 and i >= 6 * len(SIZES):
            size = SIZES[i % 7]  # a few of the largest are enough
        wanted.append(("gzip" if i // len(SIZES) % 3 == 1 else "plain", size))
    lots = [wanted[i::PARALLEL] for i in range(PARALLEL)]
    wrong, slowest = [], 0.0
    with concurrent.futures.ThreadPoolExecutor(PARALLEL + 1) as pool:
        curls = [pool.submit(curl, network, i, lot, expected) for i, lot in enumerate(lots)]
        sizes = [100, 1448, 0, 10_000, 100_000]
        for _ in range(10 if FULL else 4):
            done = network.on("client", sys.executable, __file__, "--pipeline",
                              *map(str, sizes), timeout=120, check=False)
            digests = [hashlib.sha256(expected[size]).hexdigest() for size in sizes]
            if done.stdout.split() != digests:
                wrong.append(f"pipelined: {done.returncode} {done.stdout.split()} "
                             f"{done.stderr.strip()[-300:]}")
        for each in curls:
            faults, seconds = each.result()
            wrong += faults
            slowest = max(slowest, seconds)
    return wrong, slowest, sum(len(expected[size]) for _, size in wanted)


def bodies_arrive_as_substituted(network, program):
    expected = make_bodies(network.directory)
    start_nginx(network)
    links, ports = lay_rough_links(network)
    with Box(network, program, "content", SERVICES, ports):
        begin = time.monotonic()
        wrong, slowest, size = ask(network, expected)
        took = time.monotonic() - begin
    report = json.loads((network.directory / "content" / "report.json").read_text())
    said = {row["what"]: row["count"] for row in report["findings"] if row["function"] == "http"}
    assert report["conservation"]["balanced"] is True
    for link in links:
        link.terminate()
        link.wait(10)
    for side in ("in", "out"):
        said_link = (network.directory / f"link-{side}.out").read_text().split("\n")
        print(f"link {side}: {said_link[1]}")
        assert "lost=0 " not in said_link[1] and "late=0" not in said_link[1], said_link
    print(f"{REQUESTS} requests in {took:.1f} s, {size / 1e6:.0f} MB, the slowest {slowest:.1f} s; "
          f"{said.get('substitutions')} substitutions, {said.get('given up')} given up")
    assert not wrong, "\n".join(wrong[:10])
    assert said["substitutions"] > 0 and said["requests"] >= REQUESTS, said


def main():
    if sys.argv[1] == "--pipeline":
        pipeline([int(size) for size in sys.argv[2:]])
        return 0
    program = str(pathlib.Path(sys.argv[1]).resolve())
    return in_network("content", lambda network: bodies_arrive_as_substituted(network, program))


if __name__ == "__main__":
    sys.exit(main())
