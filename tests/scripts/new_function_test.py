#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/new-function in a copy of the tree: what it makes compiles, links and passes its own test.

usage: new_function_test.py SOURCE_ROOT BUILD_ROOT

Compiles with the commands of the build it is given, and links what that build has made.
"""
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1)).resolve()
BUILD = pathlib.Path(sys.argv.pop(1)).resolve()

NAME, TYPE = "token_bucket", "TokenBucket"
MADE = [f"nf/{NAME}.h", f"nf/{NAME}.cc", f"tests/nf/{NAME}_test.cc", f"perf/nf/{NAME}_bench.cc"]


def compile_commands():
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    return {os.path.relpath((BUILD / e["file"]).resolve(), SOURCE): shlex.split(e["command"])
            for e in entries}


class NewFunction(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        self.tree = pathlib.Path(self.place.name)
        for folder in ("nf", "tests/nf", "perf/nf", "scripts"):
            shutil.copytree(SOURCE / folder, self.tree / folder)

    def make(self, *arguments):
        return subprocess.run([self.tree / "scripts/new-function", *arguments],
                              capture_output=True, text=True)

    def compile(self, like, source):
        """Compiles `source` of the copy with the build's command for `like`."""
        output = self.tree / (pathlib.Path(source).name + ".o")
        command = compile_commands()[like]
        for flag, value in (("-o", output), ("-MF", str(output) + ".d"), ("-MQ", output),
                            ("-c", self.tree / source)):
            command[command.index(flag) + 1] = str(value)
        # The copy's headers before the tree's.
        command.insert(1 if "ccache" not in command[0] else 2, f"-I{self.tree}")
        subprocess.run(command, cwd=BUILD, check=True)
        return str(output)

    def link(self, objects):
        """Links like the build's nf_test, with `objects` in the place of its own."""
        commands = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", "tests/nf_test"],
                                  capture_output=True, text=True, check=True).stdout
        command = [word for word in shlex.split(commands.strip().splitlines()[-1])
                   if not word.endswith(".o")]
        program = str(self.tree / "test")
        command[command.index("-o") + 1] = program
        command[command.index(program) + 1:command.index(program) + 1] = objects
        subprocess.run(command, cwd=BUILD, check=True)
        return program

    def test_what_it_makes_builds_and_passes(self):
        result = self.make(NAME)
        self.assertEqual(result.returncode, 0, result.stderr)
        for file in MADE:
            text = (self.tree / file).read_text()
            self.assertNotRegex(text, r"\bcount\b|\bCount\b|CountSlot|kCount|Template:", file)
        self.assertIn(f"GLASSBOX_FUNCTION({NAME})\n", (self.tree / "nf/functions.def").read_text())
        program = self.link([self.compile("nf/count.cc", f"nf/{NAME}.cc"),
                             self.compile("nf/registry.cc", "nf/registry.cc"),
                             self.compile("tests/nf/count_test.cc", f"tests/nf/{NAME}_test.cc")])
        run = subprocess.run([program], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn(f"tests from {TYPE}", run.stdout)

    def test_refusals_leave_the_tree_alone(self):
        before = (self.tree / "nf/functions.def").read_text()
        for arguments in ([], ["two", "names"], ["Upper"], ["9lives"], ["a-b"], ["../x"], ["count"]):
            self.assertEqual(self.make(*arguments).returncode, 2, arguments)
        self.assertEqual((self.tree / "nf/functions.def").read_text(), before)

    def test_files_that_exist_are_kept(self):
        (self.tree / MADE[3]).write_text("mine")
        self.assertEqual(self.make(NAME).returncode, 2)
        self.assertEqual((self.tree / MADE[3]).read_text(), "mine")
        self.assertFalse((self.tree / MADE[0]).exists())


if __name__ == "__main__":
    unittest.main()
