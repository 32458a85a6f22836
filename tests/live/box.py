# SPDX-License-Identifier: BSD-3-Clause
"""One run of the program under test, from its start line to its report."""

import json
import signal

from network import wait_until

PORTS = ("net_af_packet0,iface=in", "net_af_packet1,iface=out")


class NoSuchPort(Exception):
    """This machine's DPDK or kernel has no port of the kind."""


class Box:
    """One run of the program, from its start line to its report."""

    def __init__(self, network, program, name, chain="[]", ports=PORTS, eal=()):
        self.network, self.name = network, name
        self.report = network.directory / name
        config = network.directory / f"{name}.yaml"
        config.write_text(
            f'inside: {{ port: "{ports[0]}" }}\noutside: {{ port: "{ports[1]}" }}\nchain: {chain}\n'
        )
        self.log = network.directory / f"{name}.log"
        self.process = network.start(
            "box", self.log.name, program, "run", str(config), "--report", str(self.report),
            *(("--", *eal) if eal else ()),
        )

    def __enter__(self):
        wait_until("the box runs", lambda: "stop with SIGTERM" in self.said() or self.ended())
        if self.ended():
            said = self.said()
            if self.process.returncode == 1 and "DPDK cannot open it" in said:
                raise NoSuchPort(said.strip().splitlines()[-1])
            raise AssertionError(f"{self.name}: did not start:\n{said}")
        return self

    def __exit__(self, kind, *_):
        if not self.ended():
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        print(f"--- {self.name}\n{self.said()}")
        if kind is None:
            assert status == 0, f"{self.name}: exit status {status}"

    def ended(self):
        return self.process.poll() is not None

    def said(self):
        return self.log.read_text(errors="replace")

    def books(self):
        """The report, after the box has ended; what holds for every run is checked here."""
        report = json.loads((self.report / "report.json").read_text())
        count = report["conservation"]
        assert count["balanced"] is True, count
        assert count["received"] > 0, count
        gone = sum(count[way] for way in ("forwarded", "dropped", "held", "merged"))
        assert count["received"] == gone, count
        left = sum(count[way] for way in ("forwarded", "injected", "split"))
        assert count["transmitted"] + count["unsent"] == left, count
        return report
