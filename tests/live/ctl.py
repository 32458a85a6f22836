# SPDX-License-Identifier: BSD-3-Clause
"""`glassbox ctl` and dpdk-telemetry.py against running boxes in the test's network."""

import json
import shutil
import subprocess

from box import Box
from network import POOL, SERVER
from programs import fetch, ping

NAT = f"""
  - firewall
  - nat44: {{ pool: {POOL}/32 }}
"""


def ctl(network, program, *arguments, check=True):
    done = network.on("box", program, "ctl", *arguments, check=False)
    if not check:
        return done
    assert done.returncode == 0, f"ctl {' '.join(arguments)}: {done.stderr}"
    return json.loads(done.stdout)


def instance_is_asked_and_told(network, program):
    prefix = f"gbctl{network.spaces['box']}"
    with Box(network, program, "ctl", NAT, eal=("--file-prefix", prefix)) as box:
        mine = ("--file-prefix", prefix)
        fetch(network, SERVER)
        ping(network, SERVER)
        state = ctl(network, program, *mine, "state")
        assert state["firewall"]["connection"]["entries"] >= 2, state
        assert state["nat44"]["mapping"]["class"] == "hard", state
        assert set(state["dataplane"]) == {"session", "fragments"}, state

        said = ctl(network, program, *mine, "transparency")
        assert said["packets"]["balanced"] == "yes" and said["packets"]["received"] > 100, said
        fields = {row["field"] for row in said["effects"].values()}
        assert fields == {"ip.src", "ip.dst"}, fields  # ports are preserved
        assert said["drops"] == {}, said

        gone = ctl(network, program, *mine, "forget", "nat44.mapping")
        kinds = {row["kind"]: row["entries"] for row in gone["entries"].values()}
        mappings = state["nat44"]["mapping"]["entries"]
        assert kinds["nat44.mapping"] == mappings, (kinds, state)
        assert set(kinds) == {"nat44.mapping", "nat44.session"}, kinds
        after = ctl(network, program, *mine, "state")
        assert after["nat44"]["mapping"]["forgotten"] == mappings, after
        assert after["nat44"]["mapping"]["entries"] == 0, after
        ctl(network, program, *mine, "forget", "nat44")
        ctl(network, program, *mine, "forget", "box")
        assert ctl(network, program, *mine, "state")["dataplane"]["session"]["entries"] == 0
        fetch(network, SERVER)
        ask_by_dpdks_own_tool(network, prefix)
        refusals_say_what_to_do(network, program, mine)
        assert ctl(network, program, *mine, "stop") == {"stopping": "yes"}
        assert box.process.wait(20) == 0
    report = box.books()
    rows = {f"{row['function']}.{row['kind']}": row for row in report["state"]}
    assert rows["nat44.mapping"]["forgotten"] >= mappings, rows["nat44.mapping"]
    for row in rows.values():
        ended = sum(row[way] for way in ("closed", "expired", "evicted", "forgotten"))
        assert row["entries"] == row["created"] - ended, row


def instances_are_told_apart(network, program):
    """Two at a time: each answers for itself, and who names none is told whom there is to name."""
    prefixes = [f"gb{name}{network.spaces['box']}" for name in ("one", "two")]
    idle = ("net_null0,no-rx=1", "net_null1,no-rx=1")
    with Box(network, program, "one", NAT, eal=("--file-prefix", prefixes[0])), \
            Box(network, program, "two", "[firewall]", idle, ("--file-prefix", prefixes[1])) as two:
        fetch(network, SERVER)
        states = [ctl(network, program, "--file-prefix", prefix, "state") for prefix in prefixes]
        assert set(states[0]) == {"dataplane", "firewall", "nat44"}, states[0]
        assert set(states[1]) == {"dataplane", "firewall"}, states[1]
        assert states[0]["firewall"]["connection"]["entries"] > 0, states[0]
        assert states[1]["firewall"]["connection"]["entries"] == 0, states[1]
        wrong = ctl(network, program, "state", check=False)
        assert wrong.returncode == 1 and "choose one with --file-prefix" in wrong.stderr, wrong
        assert all(prefix in wrong.stderr for prefix in prefixes), wrong
        ctl(network, program, "--file-prefix", prefixes[1], "forget", "box")
        after = ctl(network, program, "--file-prefix", prefixes[0], "state")
        assert after["firewall"]["connection"]["forgotten"] == 0, "the other one forgot nothing"
        ctl(network, program, "--file-prefix", prefixes[1], "stop")
        assert two.process.wait(20) == 0
        fetch(network, SERVER)
        wrong = ctl(network, program, "--file-prefix", prefixes[1], "state", check=False)
        assert wrong.returncode == 1, wrong


def ask_by_dpdks_own_tool(network, prefix):
    tool = shutil.which("dpdk-telemetry.py")
    if tool is None:
        print("SKIP dpdk-telemetry.py is not installed")
        return
    done = subprocess.run(network.inside("box", tool, "--file-prefix", prefix),
                          input="/glassbox/state\nquit\n", capture_output=True, text=True,
                          timeout=20, check=False)
    assert '"mapping": {' in done.stdout, done


def refusals_say_what_to_do(network, program, mine):
    wrong = ctl(network, program, *mine, "forget", "nat44.mappings", check=False)
    assert wrong.returncode == 1 and "did you mean 'nat44.mapping'?" in wrong.stderr, wrong
    wrong = ctl(network, program, *mine, "forget", "nosuch", check=False)
    assert wrong.returncode == 1 and "nosuch" in wrong.stderr, wrong
    wrong = ctl(network, program, "--file-prefix", "none-such", "state", check=False)
    assert wrong.returncode == 1 and "glassbox run CONFIG" in wrong.stderr, wrong
