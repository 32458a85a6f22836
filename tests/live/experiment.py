# SPDX-License-Identifier: BSD-3-Clause
"""The forgetting experiment with real end hosts, held against the offline one (measurement.md 7).

A *talk* is COUNT connections at a time of one sort (dialogue.py, curl, ...), which come to a point at
which state is wiped, by what the applications do and not by the clock. It runs once over a wire, is
captured there, and the capture goes through `glassbox forget`: that is the prediction. Then it runs
through the box, state is wiped at the same point, and who ends as they should is counted.
"""

import contextlib
import json
import math
import pathlib
import shutil
import struct
import subprocess
import sys
import time

from box import Box
from ctl import ctl
from network import POOL, SERVER, wait_until

HERE = pathlib.Path(__file__).resolve().parent
CHAINS = {
    "firewall strict": "[{ firewall: {} }]",
    "firewall loose": "[{ firewall: { pickup: loose } }]",
    "firewall by rule":
        "[{ firewall: { default_inside: drop, rules: [{ from: inside, action: accept }] } }]",
    "nat44 preserve": f"[{{ nat44: {{ pool: {POOL}/32 }} }}]",
    "nat44 random": f"[{{ nat44: {{ pool: {POOL}/32, port_choice: random }} }}]",
    "inspect": "[{ inspect: { rules: [{ id: 1, pattern: 'nowhere-to-be-found' }] } }]",
}
KINDS = {
    "firewall strict": ("firewall.connection", "dataplane.session", "box"),
    "firewall loose": ("firewall.connection", "dataplane.session", "box"),
    "firewall by rule": ("firewall.rules", "box"),
    "nat44 preserve": ("nat44.session", "nat44.mapping", "nat44.holddown", "dataplane.session",
                       "box"),
    "nat44 random": ("nat44.session", "nat44.mapping", "nat44.holddown", "box"),
    "inspect": ("inspect.flow", "inspect.stream", "inspect.segments", "box"),
}


def file_name(text):
    return text.replace(",", "").replace(" ", "-")


class Dialogue:
    """mode: who speaks first after the pause, or `dns`."""

    def __init__(self, mode):
        self.mode = self.name = mode
        self.filter = "udp port 53" if mode == "dns" else "tcp port 7000"
        if mode == "dns":
            self.name = "dns over udp"
        else:
            self.name = f"dialogue, {mode} next"

    @contextlib.contextmanager
    def start(self, network, count, deadline):
        serve = subprocess.Popen(
            network.inside("server", sys.executable, str(HERE / "dialogue.py"), "serve"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert serve.stdout.readline() == "listening\n"
            self.server = serve
            talk = subprocess.Popen(
                network.inside("client", sys.executable, str(HERE / "dialogue.py"), "talk",
                               SERVER, self.mode, str(count), str(deadline)),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                yield talk
            finally:
                talk.kill()
                talk.wait()
        finally:
            serve.kill()
            serve.wait()

    def run(self, network, count, deadline, wipe):
        with self.start(network, count, deadline) as talk:
            while (line := talk.stdout.readline()) != "pause\n":
                assert line, "the talk never came to its pause"
            # What was sent last is still being acknowledged, some of it after 40 ms or more.
            time.sleep(0.5)
            wipe()
            first, second = (self.server, talk) if self.mode == "server" else (talk, self.server)
            for end in (first, second):
                end.stdin.write("go\n")
                end.stdin.flush()
                # The other end has nothing to say before it has heard from the first.
                time.sleep(0.05)
            for line in talk.stdout:
                if line.startswith("good "):
                    return int(line.split()[1]), count
        raise AssertionError("the talk ended without a word")


class Download:
    """curl, slowly, wiped when it is under way."""

    name, filter = "curl download", "tcp port 80"
    path, size, rate = "slow.bin", 1_000_000, "100k"

    def run(self, network, count, deadline, wipe):
        file = network.directory / self.path
        if not file.exists():
            file.write_bytes(bytes(self.size))
        # Else the kernel has the whole file long before curl has read it, and the network no part in
        # what comes afterwards.
        network.on("client", "sysctl", "-qw", "net.ipv4.tcp_rmem=4096 65536 65536")
        copies = [network.directory / f"copy-{number}" for number in range(count)]
        for copy in copies:
            copy.unlink(missing_ok=True)
        clients = [
            subprocess.Popen(
                network.inside("client", "curl", "--silent", "--limit-rate", self.rate,
                               "--max-time", str(deadline), "--output", str(file),
                               f"http://{SERVER}/{self.path}"),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for file in copies]
        try:
            wait_until("all are under way", lambda: all(
                copy.exists() and copy.stat().st_size > self.size / 10 for copy in copies), 30)
            wipe()
            # Where the machine is slow, the first may be done before the last is under way.
            still = [(client, copy) for client, copy in zip(clients, copies)
                     if client.poll() is None]
            for client, _ in still:
                client.wait(deadline + 5)
            good = sum(client.returncode == 0 and copy.stat().st_size == self.size
                       for client, copy in still)
            return good, len(still)
        finally:
            for client in clients:
                client.kill()
                client.wait()


class Iperf:
    """iperf3 with so many streams beside its own connection, all of which it needs."""

    name, filter, port = "iperf3", "tcp port 5202", "5202"

    def open_streams(self, network):
        """At the server: established (01) on its port."""
        rows = network.on("server", "cat", "/proc/net/tcp", "/proc/net/tcp6").stdout.splitlines()
        return sum(f":{int(self.port):04X} " in row.split(":", 1)[1][:46] and " 01 " in row
                   for row in rows if ":" in row)

    def run(self, network, count, deadline, wipe):
        server = subprocess.Popen(network.inside("server", "iperf3", "-s", "-1", "-p", self.port),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client = None
        try:
            wait_until("iperf3 listens", lambda: f":{int(self.port):04X} " in network.on(
                "server", "cat", "/proc/net/tcp", "/proc/net/tcp6").stdout)
            client = subprocess.Popen(
                network.inside("client", "iperf3", "-c", SERVER, "-p", self.port, "-P", str(count),
                               "-t", "8", "-b", "300K", "--json"),
                stdout=open(network.directory / "iperf.json", "wb"), stderr=subprocess.DEVNULL)
            wait_until("all streams are open", lambda: self.open_streams(network) > count, 30)
            time.sleep(1)
            wipe()
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(deadline)
            # With --json its exit status is 0 whatever befell it.
            said = (network.directory / "iperf.json").read_text()
            good = client.returncode == 0 and said and "error" not in json.loads(said)
            return (count + 1 if good else 0), count + 1  # its own connection beside the streams
        finally:
            for process in (server, client):
                if process is not None:
                    process.kill()
                    process.wait()


class Quic:
    """ngtcp2's client, which shakes hands, waits, and then asks for a file."""

    name, filter = "quic request", "udp port 4433"
    size = 50_000

    def serve(self, network):
        folder = network.directory / "quic"
        folder.mkdir(exist_ok=True)
        (folder / "file").write_bytes(bytes(self.size))
        key, certificate = folder / "key.pem", folder / "cert.pem"
        if not key.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                            str(key), "-out", str(certificate), "-days", "2", "-subj",
                            "/CN=live.example"], check=True, capture_output=True, timeout=60)
        return subprocess.Popen(
            network.inside("server", "gtlsserver", "--quiet", "--htdocs", str(folder), SERVER,
                           "4433", str(key), str(certificate)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, network, number):
        folder = network.directory / f"quic-{number}"
        folder.mkdir(exist_ok=True)
        (folder / "file").unlink(missing_ok=True)
        # Without discovery of the path's MTU nothing is sent in the pause.
        return folder / "file", subprocess.Popen(
            network.inside("client", "gtlsclient", "--no-quic-dump", "--no-http-dump",
                           "--no-pmtud", "--delay-stream=5s", "--exit-on-all-streams-close",
                           f"--download={folder}", SERVER, "4433", f"https://{SERVER}:4433/file"),
            stdout=open(folder / "log", "wb"), stderr=subprocess.STDOUT)

    def run(self, network, count, deadline, wipe):
        server = self.serve(network)
        clients = []
        try:
            wait_until("the QUIC server listens", lambda: ":1151 " in network.on(
                "server", "cat", "/proc/net/udp").stdout)
            clients = [self.ask(network, number) for number in range(count)]
            logs = [file.parent / "log" for file, _ in clients]
            wait_until("hands are shaken", lambda: all(
                b"handshake has completed" in log.read_bytes() for log in logs), 30)
            time.sleep(0.5)
            wipe()
            end = time.monotonic() + deadline
            for _, client in clients:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(max(0.1, end - time.monotonic()))
            return sum(file.exists() and file.stat().st_size == self.size
                       for file, _ in clients), count
        finally:
            for process in (server, *(client for _, client in clients)):
                process.kill()
                process.wait()


TALKS = {"client": Dialogue("client"), "server": Dialogue("server"), "dns": Dialogue("dns"),
         "curl": Download(), "iperf": Iperf(), "quic": Quic()}


@contextlib.contextmanager
def tcpdump(network, file, expression):
    """At the client's end."""
    log = network.directory / f"{file.stem}.dump"
    dump = network.start("client", log.name, "tcpdump", "-i", "eth0", "-U", "--immediate-mode",
                         "-w", str(file), expression)
    wait_until("tcpdump listens", lambda: "listening on" in log.read_text())
    try:
        yield
        time.sleep(1)
    finally:
        dump.terminate()
        dump.wait(5)


class Capture:
    """A talk while the box is a wire, and when state would have been wiped."""

    def __init__(self, network, program, talk, count):
        self.file = network.directory / f"{file_name(talk.name)}.pcap"
        marks = []
        with Box(network, program, f"wire-{self.file.stem}"), \
                tcpdump(network, self.file, talk.filter):
            good, of = talk.run(network, count, 60, lambda: marks.append(time.time()))
        assert good == of, f"{talk.name}: {good} of {of} end over a wire"
        self.wiped = marks[0]

    def first(self):
        with open(self.file, "rb") as file:
            header = file.read(24)
            seconds, fraction = struct.unpack("<II", file.read(8))
            assert header[:4] == b"\xd4\xc3\xb2\xa1"
            return seconds + fraction / 1e6

    def keep(self, directory):
        shutil.copy(self.file, directory)
        (directory / f"{self.file.stem}.wiped").write_text(f"{self.wiped:.6f}\n")


class Kept(Capture):
    """What keep() left."""

    def __init__(self, directory, talk):  # pylint: disable=super-init-not-called
        self.file = directory / f"{file_name(talk.name)}.pcap"
        self.wiped = float(self.file.with_suffix(".wiped").read_text())


def predict(directory, program, capture, chain):
    """What `glassbox forget` says of each kind: {kind: (compared, broken)}."""
    config = directory / f"offline-{file_name(chain)}.yaml"
    config.write_text(f"inside_networks: [192.168.7.0/24]\nchain: {CHAINS[chain]}\n")
    done = subprocess.run(
        [program, "forget", str(config), str(capture.file), "--fix-checksums", "--json", "--at",
         f"{capture.wiped - capture.first():.6f}"],
        capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    predicted = {}
    for row in json.loads(done.stdout)["forgetting"]:
        name = row["function"] if row["kind"] == "all" else f"{row['function']}.{row['kind']}"
        predicted[name] = (row["compared"], row["broken"])
    return predicted


def live(network, program, talk, chain, kind, count, deadline, keep=None):
    """How many connections end as they should though `kind` is wiped in the middle, of how many."""
    prefix = f"gbx{network.spaces['box']}"
    name = file_name(f"{chain}-{talk.name}-{kind}")
    marks = []

    def wipe():
        marks.append(time.time())
        ctl(network, program, "--file-prefix", prefix, "forget", kind)

    kept = keep / f"{name}.pcap" if keep else None
    with Box(network, program, name, CHAINS[chain], eal=("--file-prefix", prefix)), \
            tcpdump(network, kept, talk.filter) if kept else contextlib.nullcontext():
        result = talk.run(network, count, deadline, wipe)
    if kept:
        kept.with_suffix(".wiped").write_text(f"{marks[0]:.6f}\n")
    return result


def upper_bound(wrong, of):
    """Clopper and Pearson's: the share that would give so few wrong ones in 2.5 % of all cases."""
    if wrong >= of:
        return 1.0

    def at_most(share):
        return sum(math.comb(of, k) * share**k * (1 - share)**(of - k) for k in range(wrong + 1))

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(middle) > 0.025 else (low, middle)
    return high


class Matrix:
    """Connections by what was predicted and what came. A cell's are alike: of those that a cell has
    of either sort, as many as can agree do."""

    def __init__(self):
        self.count = {(said, came): 0 for said in ("ends", "breaks") for came in ("ends", "breaks")}

    def add(self, connections, predicted_good, good):
        agree_good = min(predicted_good, good)
        agree_bad = min(connections - predicted_good, connections - good)
        self.count["ends", "ends"] += agree_good
        self.count["breaks", "breaks"] += agree_bad
        self.count["ends", "breaks"] += predicted_good - agree_good
        self.count["breaks", "ends"] += connections - predicted_good - agree_bad

    def wrong(self):
        return self.count["ends", "breaks"] + self.count["breaks", "ends"]

    def total(self):
        return sum(self.count.values())

    def text(self):
        lines = ["| predicted | ends | breaks |", "|---|---|---|"]
        for said in ("ends", "breaks"):
            lines.append(f"| {said} | {self.count[said, 'ends']} | {self.count[said, 'breaks']} |")
        wrong, total = self.wrong(), self.total()
        if total:
            lines.append("")
            lines.append(f"{wrong} of {total} connections ended otherwise than predicted "
                         f"({100 * wrong / total:.1f} %; exact 95 % interval up to "
                         f"{100 * upper_bound(wrong, total):.1f} %).")
        return "\n".join(lines)


# A short slice for every day: what breaks at once or within a short deadline, and what does not.
SLICE = (
    ("client", "nat44 preserve", "nat44.mapping"),
    ("client", "nat44 random", "nat44.mapping"),
    ("client", "firewall strict", "firewall.connection"),
    ("dns", "nat44 random", "nat44.mapping"),
)


def the_model_foretells_what_breaks(network, program):
    captures = {}
    for talk_name, chain, kind in SLICE:
        talk = TALKS[talk_name]
        if talk_name not in captures:
            captures[talk_name] = Capture(network, program, talk, 5)
        compared, broken = predict(network.directory, program, captures[talk_name], chain)[kind]
        assert compared == 5, (talk.name, chain, kind, compared)
        good, of = live(network, program, talk, chain, kind, 5, 5)
        print(f"{chain}, {talk.name}, {kind}: {broken} of 5 predicted to break, {of - good} did")
        assert good == of - broken, (talk.name, chain, kind, good, broken)
