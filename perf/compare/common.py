# SPDX-License-Identifier: BSD-3-Clause
"""What every system of the comparison needs: the load, CPU time of a thread, processes."""

import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import time

SOURCE_MAC = "020000000001"
BOX_MAC = "02:00:00:00:00:02"


class Unavailable(Exception):
    """A system that cannot run here, with the reason."""


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(number):
    """64 bytes on the wire: flow `number`, from 10/8 to 198.18/15."""
    source = struct.pack("!I", 0x0A000000 | number >> 4)
    target = struct.pack("!I", 0xC6120000 | (number * 0x9E3779B1 >> 7) & 0x1FFFF)
    port = 1024 + (number & 15) * 4000 + (number >> 4) % 4000
    payload = b"glassbox compare  "
    length = 8 + len(payload)
    pseudo = source + target + struct.pack("!HH", 17, length)
    ports = struct.pack("!HHH", port, 53, length)
    udp = ports + struct.pack("!H", checksum(pseudo + ports + b"\0\0" + payload) or 0xFFFF) + payload
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 0, 0x4000, 64, 17)
    ip = head + struct.pack("!H", checksum(head + b"\0\0" + source + target)) + source + target
    return bytes.fromhex(BOX_MAC.replace(":", "") + SOURCE_MAC + "0800") + ip + udp


def write_load(path, flows):
    """One packet of each flow, in random order."""
    order = list(range(flows))
    random.Random(1).shuffle(order)
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in order:
            frame = udp_frame(number)
            out.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def run(*command, timeout=60, check=True):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode != 0:
        raise Unavailable(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def tsc_hertz():
    """As the kernel has measured it: bogomips counts two a cycle."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    return float(re.search(r"^bogomips\s*: ([\d.]+)", text, re.MULTILINE).group(1)) * 5e5


def cpu_seconds(pid, thread):
    """CPU time of the thread of a process whose name begins so; nanoseconds, by the scheduler."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith(thread):
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    raise Unavailable(f"process {pid} has no thread {thread}*")


class Paused:
    """A process that runs only while it is measured."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGCONT)
        time.sleep(0.1)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGSTOP)


def end(process):
    """Ends a process of ours by its id."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
