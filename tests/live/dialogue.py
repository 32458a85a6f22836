#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Conversations over real TCP and UDP stacks that stop in the middle for somebody to wipe state.

    dialogue.py serve
    dialogue.py talk ADDRESS MODE COUNT DEADLINE

COUNT conversations at a time, all in the same state: some turns, a pause, some turns. MODE says who
speaks first after the pause (client, server), or that it is queries over UDP, each from the same
socket (dns) and each asked once. `talk` prints `pause` when all have come to the pause, goes on when
a line comes by standard input, and at the end prints how many of them ended as they should.
"""

import socket
import struct
import sys
import threading

TCP_PORT, DNS_PORT = 7000, 53
TURNS = 4
SIZE = 3000


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("closed early")
        data += part
    return data


def turns(connection, speaks):
    """`speaks`: this end has the first word."""
    for turn in range(2 * TURNS):
        if (turn % 2 == 0) == speaks:
            connection.sendall(bytes([turn]) * SIZE)
        elif set(receive(connection, SIZE)) != {turn}:
            raise ConnectionError("other bytes")


def serve_one(connection, go):
    try:
        mode = receive(connection, 1)
        turns(connection, speaks=False)
        go.wait()
        turns(connection, speaks=mode == b"s")
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        connection.close()
    except OSError as error:
        print(f"server: {error}", flush=True)


def serve():
    go = threading.Event()

    def control():
        # From its own namespace: the signal does not travel through the box.
        for line in sys.stdin:
            go.set() if line.strip() == "go" else go.clear()

    threading.Thread(target=control, daemon=True).start()
    listener = socket.create_server(("0.0.0.0", TCP_PORT), backlog=256)
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_one, args=(connection, go),
                         daemon=True).start()


class Talk:
    def __init__(self, address, mode, count, deadline):
        self.address, self.mode, self.deadline = address, mode, deadline
        self.paused = threading.Barrier(count + 1)
        self.go = threading.Event()
        self.good = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.one, args=(i,), daemon=True)
                        for i in range(count)]

    def run(self):
        for thread in self.threads:
            thread.start()
        self.paused.wait(30)
        print("pause", flush=True)
        sys.stdin.readline()
        self.go.set()
        for thread in self.threads:
            thread.join(self.deadline)
        print(f"good {self.good} of {len(self.threads)}", flush=True)

    def one(self, number):
        try:
            if self.mode == "dns":
                self.queries(number)
            else:
                self.conversation()
            with self.lock:
                self.good += 1
        except (OSError, ConnectionError, threading.BrokenBarrierError) as error:
            print(f"client: {error}", flush=True)

    def conversation(self):
        with socket.create_connection((self.address, TCP_PORT), timeout=15) as connection:
            connection.sendall(self.mode[0].encode())
            turns(connection, speaks=True)
            self.paused.wait(30)
            connection.settimeout(self.deadline)
            self.go.wait()
            turns(connection, speaks=self.mode == "client")
            if connection.recv(1) != b"":
                raise ConnectionError("no end")

    def queries(self, number):
        """Each is asked once: the model's hosts do not ask again, either."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((self.address, DNS_PORT))
            sender.settimeout(3)
            for turn in range(2 * TURNS):
                if turn == TURNS:
                    self.paused.wait(30)
                    self.go.wait()
                ident = number * 100 + turn
                name = b"".join(bytes([len(part)]) + part for part in (b"live", b"example"))
                query = struct.pack("!6H", ident, 0x0100, 1, 0, 0, 0) + name + b"\0\0\1\0\1"
                sender.send(query)
                if struct.unpack("!H", sender.recv(2000)[:2])[0] != ident:
                    raise ConnectionError("another's answer")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        Talk(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])).run()
