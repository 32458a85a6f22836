#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Real end hosts against the model: forget_matrix.py GLASSBOX [--count 20] [--deadline 70]
[--chains NAME,...] [--talks NAME,...] [--lines FILE] [--keep DIR]
    forget_matrix.py GLASSBOX --again DIR --lines FILE
    forget_matrix.py --read FILE...

Every kind of every chain, wiped in the middle of every talk: prediction and outcome, and the
confusion matrix (docs/forgetting.md). Cells are dealt alternately into a half on which the model may
be mended and one on which it is scored. --lines appends one JSON line a cell; --read FILE... prints
the matrix of such lines and runs nothing. --keep leaves the captures in DIR: of each talk over the
wire, and of each cell at the client's end. --again predicts once more from those, with another
program or a mended model, what the live runs of the lines are held against. Needs root, for network
namespaces; exit status 77 without.
"""

import argparse
import json
import pathlib
import signal
import sys
import tempfile
import time
import zlib

from experiment import CHAINS, KINDS, TALKS, Capture, Kept, Matrix, live, predict
from network import Network, Skip


def scored(cell):
    """Which half: by the cell's name, so that it stays there from run to run."""
    return zlib.crc32(" ".join((cell["chain"], cell["kind"], cell["talk"])).encode()) % 2 == 1


def run_cells(program, arguments):
    with tempfile.TemporaryDirectory(prefix="glassbox-matrix-") as directory:
        with Network(directory) as network:
            for talk_name in arguments.talks:
                talk = TALKS[talk_name]
                capture = Capture(network, program, talk, arguments.count)
                if arguments.keep:
                    capture.keep(arguments.keep)
                for chain in arguments.chains:
                    predicted = predict(network.directory, program, capture, chain)
                    for kind in KINDS[chain]:
                        begin = time.monotonic()
                        good, of = live(network, program, talk, chain, kind, arguments.count,
                                        arguments.deadline, arguments.keep)
                        compared, broken = predicted[kind]
                        yield {"chain": chain, "talk": talk.name, "kind": kind, "count": of,
                               "compared": compared, "broken": broken, "good": good,
                               "seconds": round(time.monotonic() - begin, 1)}


def predict_again(program, cells, kept):
    """The cells with what the program says now of the captures that were kept."""
    talks = {talk.name: talk for talk in TALKS.values()}
    said = {}
    with tempfile.TemporaryDirectory(prefix="glassbox-matrix-") as directory:
        for cell in cells:
            which = cell["talk"], cell["chain"]
            if which not in said:
                said[which] = predict(pathlib.Path(directory), program,
                                      Kept(kept, talks[cell["talk"]]), cell["chain"])
            compared, broken = said[which][cell["kind"]]
            yield {**cell, "compared": compared, "broken": broken}


def table(cells):
    lines = ["| chain | talk | forgotten | predicted to break | broke | half |", "|---|---|---|---|---|---|"]
    for cell in cells:
        broke = cell["count"] - cell["good"]
        alike = cell["broken"] * cell["count"] == broke * cell["compared"]
        mark = "" if alike else " **differs**"
        lines.append(f"| {cell['chain']} | {cell['talk']} | {cell['kind']} | {cell['broken']} of "
                     f"{cell['compared']} | {broke} of {cell['count']}{mark} | "
                     f"{'scored' if scored(cell) else 'mended on'} |")
    return "\n".join(lines)


def print_result(cells):
    halves = {True: Matrix(), False: Matrix()}
    for cell in cells:
        # Both speak of connections that were open when state was wiped; as a rule equally many.
        share = cell["broken"] / cell["compared"] if cell["compared"] else 0
        predicted_bad = round(share * cell["count"])
        halves[scored(cell)].add(cell["count"], cell["count"] - predicted_bad, cell["good"])
    print(table(cells))
    print("\nThe half on which the model may be mended:\n")
    print(halves[False].text())
    print("\nThe half on which it is scored:\n")
    print(halves[True].text())
    return halves[True]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--deadline", type=float, default=70)
    parser.add_argument("--chains", type=lambda text: text.split(","), default=list(CHAINS))
    parser.add_argument("--talks", type=lambda text: text.split(","), default=list(TALKS))
    parser.add_argument("--lines", type=pathlib.Path)
    parser.add_argument("--read", nargs="+", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--again", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.read:
        print_result([json.loads(line) for path in arguments.read
                      for line in path.read_text().splitlines()])
        return 0
    program = str(pathlib.Path(arguments.program).resolve())
    if arguments.again:
        lines = arguments.lines.read_text().splitlines()
        print_result(list(predict_again(program, [json.loads(line) for line in lines],
                                        arguments.again)))
        return 0
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    # Whoever ends it early must find no namespace left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    cells = []
    try:
        for cell in run_cells(program, arguments):
            print(f"--- cell {json.dumps(cell)}", flush=True)
            cells.append(cell)
            if arguments.lines:
                with open(arguments.lines, "a", encoding="utf-8") as lines:
                    lines.write(json.dumps(cell) + "\n")
    except Skip as reason:
        print(f"SKIP: {reason}")
        return 77
    print_result(cells)
    return 0


if __name__ == "__main__":
    sys.exit(main())
