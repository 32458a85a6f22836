#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A link that loses, repeats and reorders frames: rough_links.py SEED PER_MILLE A B

Carries frames between two interfaces of its namespace, both ways. What tc's netem does, where the
kernel has none. PER_MILLE of the frames are lost, as many come twice, and twice as many come behind
some that were sent after them. Prints how many of each when it is ended.
"""

import random
import select
import signal
import socket
import sys
import time

ALL = 0x0003  # ETH_P_ALL
OUTGOING = 4  # PACKET_OUTGOING: what is sent by an interface is seen on it, too
LATE = 0.004  # seconds that a frame is late at most, and so many others that overtake it
OVERTAKERS = 4


def main():
    seed, per_mille, *names = sys.argv[1:]
    chance, odds = random.Random(int(seed)), float(per_mille) / 1000
    ends = []
    for name in names:
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
        end.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)  # SO_RCVBUFFORCE
        end.bind((name, ALL))
        end.setblocking(False)
        ends.append(end)
    late = {0: [], 1: []}  # towards an end: (time, overtakers left, frame)
    counts = {"carried": 0, "lost": 0, "repeated": 0, "late": 0}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("carries", flush=True)

    def send(to, frame):
        try:
            ends[to].send(frame)
            counts["carried"] += 1
        except (BlockingIOError, OSError):
            counts["lost"] += 1

    try:
        while True:
            waits = 0.002 if late[0] or late[1] else 1
            ready, _, _ = select.select(ends, [], [], waits)
            now = time.monotonic()
            for at, end in enumerate(ends):
                to = 1 - at
                for _ in range(64 if end in ready else 0):
                    try:
                        frame, source = end.recvfrom(65536)
                    except BlockingIOError:
                        break
                    if source[2] == OUTGOING:
                        continue
                    what = chance.random()
                    if what < odds:
                        counts["lost"] += 1
                    elif what < 3 * odds:
                        counts["late"] += 1
                        late[to].append([now + LATE, OVERTAKERS, frame])
                        continue
                    else:
                        send(to, frame)
                        if what > 1 - odds:
                            counts["repeated"] += 1
                            send(to, frame)
                    for waiting in late[to]:
                        waiting[1] -= 1
                for waiting in [w for w in late[to] if w[0] <= now or w[1] <= 0]:
                    late[to].remove(waiting)
                    send(to, waiting[2])
    finally:
        print(" ".join(f"{name}={count}" for name, count in counts.items()), flush=True)


if __name__ == "__main__":
    main()
