# SPDX-License-Identifier: BSD-3-Clause
"""Three network namespaces in a row, a box in the middle, servers on the outside.

    client (inside)            box              server (outside)
    eth0 192.168.7.2  ===  in  ...  out  ===  eth0 203.0.113.2
         fd00:7::2                                 fd00:7::3

The box is a wire to the hosts: it answers no ARP, so both reach the other's addresses on their
link, and the server finds the NAT's pool address at the client's MAC address.
"""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CLIENT, SERVER, POOL = "192.168.7.2", "203.0.113.2", "203.0.113.1"
CLIENT6, SERVER6 = "fd00:7::2", "fd00:7::3"
TAP_CLIENT, TAP_SERVER = "10.77.0.2", "10.77.0.3"
NAME, ANSWER = "live.example", "198.51.100.7"
PROGRAMS = ["ip", "ethtool", "ping", "curl", "nginx", "dig", "dnsmasq", "iperf3"]
# What merges frames beyond the MTU. Checksum offload stays on: the box has to complete them.
MERGING = ["tso", "gso", "gro", "lro", "tx-udp-segmentation"]


class Skip(Exception):
    """Why the test cannot run on this machine."""


def sh(*command, timeout=20, check=True):
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_until(said, holds, seconds=15):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {said}")
        time.sleep(0.05)


class Network:
    """Makes it all on entry, ends its own processes and removes its own namespaces on exit."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.spaces = {
            role: f"gb{os.getpid()}{role}" for role in ("client", "box", "server")
        }
        self.processes = []

    def __enter__(self):
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        if os.geteuid() != 0:
            raise Skip("not root: network namespaces cannot be made")
        if missing:
            raise Skip("not installed: " + ", ".join(missing))
        try:
            self.make_spaces()
            self.make_links()
            self.start_servers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        for space in self.spaces.values():
            sh("ip", "netns", "del", space, check=False)

    def inside(self, role, *command):
        return ["ip", "netns", "exec", self.spaces[role], *command]

    def on(self, role, *command, **options):
        return sh(*self.inside(role, *command), **options)

    def start(self, role, log, *command):
        with open(self.directory / log, "wb") as output:
            process = subprocess.Popen(
                self.inside(role, *command), stdout=output, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self.processes.append(process)
        return process

    def make_spaces(self):
        for space in self.spaces.values():
            made = sh("ip", "netns", "add", space, check=False)
            if made.returncode != 0 or sh(*["ip", "netns", "exec", space, "true"],
                                          check=False).returncode != 0:
                raise Skip("network namespaces cannot be made: " + made.stderr.strip())

    def make_links(self):
        for role, port in (("client", "in"), ("server", "out")):
            sh("ip", "link", "add", port, "netns", self.spaces["box"], "type", "veth",
               "peer", "name", "eth0", "netns", self.spaces[role])
            self.on("box", "ip", "link", "set", port, "up")
            self.on(role, "ip", "link", "set", "lo", "up")
            self.on(role, "ip", "link", "set", "eth0", "up")
            self.merge_frames(role, False)
        self.on("client", "ip", "addr", "add", f"{CLIENT}/24", "dev", "eth0")
        self.on("client", "ip", "addr", "add", f"{CLIENT6}/64", "dev", "eth0", "nodad")
        self.on("client", "ip", "route", "add", "203.0.113.0/24", "dev", "eth0")
        self.on("server", "ip", "addr", "add", f"{SERVER}/24", "dev", "eth0")
        self.on("server", "ip", "addr", "add", f"{SERVER6}/64", "dev", "eth0", "nodad")
        self.on("server", "ip", "route", "add", f"{CLIENT}/32", "dev", "eth0")
        mac = {role: self.on(role, "cat", "/sys/class/net/eth0/address").stdout.strip()
               for role in ("client", "server")}
        self.neighbour("client", SERVER, mac["server"])
        self.neighbour("server", CLIENT, mac["client"])
        self.neighbour("server", POOL, mac["client"])

    def neighbour(self, role, address, mac, interface="eth0"):
        self.on(role, "ip", "neigh", "replace", address, "lladdr", mac, "dev", interface,
                "nud", "permanent")

    def merge_frames(self, role, on):
        for feature in MERGING:
            self.on(role, "ethtool", "-K", "eth0", feature, "on" if on else "off", check=False)

    def start_servers(self):
        content = os.urandom(10_000_000)
        self.digest = hashlib.sha256(content).hexdigest()
        (self.directory / "random.bin").write_bytes(content)
        (self.directory / "index.html").write_text("hello\n")
        self.start_nginx("nginx", NGINX)
        self.start("server", "dnsmasq.out", "dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts",
                   "--conf-file=/dev/null", "--user=root", "--pid-file=",
                   f"--address=/{NAME}/{ANSWER}")
        self.start("server", "iperf3.out", "iperf3", "-s")
        wait_until("the servers listen", self.servers_listen)

    def start_nginx(self, name, configuration):
        path = self.directory / f"{name}.conf"
        path.write_text(configuration.format(directory=self.directory))
        self.start("server", f"{name}.out", "nginx", "-p", str(self.directory), "-c", str(path),
                   "-e", f"{name}.err")

    def listens(self, *ports):
        tcp = self.on("server", "cat", "/proc/net/tcp", "/proc/net/tcp6").stdout
        return all(f":{port:04X} " in tcp for port in ports)

    def servers_listen(self):
        return self.listens(80, 8081, 53, 5201)

    def requesters(self):
        """The addresses from which nginx was asked, since the last call."""
        log = self.directory / "access.log"
        lines = log.read_text().split() if log.exists() else []
        log.write_text("")
        return set(lines)


def in_network(name, use):
    """Calls use(network) in a network of its own; returns the test's status: 77, aloud, without one."""
    # A test runner's time limit must leave no namespace behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with tempfile.TemporaryDirectory(prefix=f"glassbox-{name}-") as directory:
        try:
            with Network(directory) as network:
                use(network)
        except Skip as reason:
            print(f"SKIP: {reason}")
            return 77
    return 0


NGINX = """
daemon off;
master_process off;
user root;
pid {directory}/nginx.pid;
error_log {directory}/nginx.err;
events {{ worker_connections 64; }}
http {{
  log_format who '$remote_addr';
  access_log {directory}/access.log who;
  server {{
    listen 80;
    listen [::]:80;
    listen 8081;
    root {directory};
  }}
}}
"""
