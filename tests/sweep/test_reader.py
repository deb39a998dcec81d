"""What becomes of a command whose reader has enough."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

_PROGRAM = """
import logging, sys
from transfer.sweep.reader import outlive_reader
outlive_reader()
outlive_reader()
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
print("first", flush=True)
sys.stdin.readline()
for number in range(1000):
    logging.info("line %d of many, long enough to fill what a stream holds", number)
    print("more")
print("trained", file=sys.stderr)
"""


def test_a_training_outlives_the_reader_of_its_output() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        assert process.stdout.readline() == "first\n"
        process.stdout.close()
        process.stdin.write("go on\n")
        process.stdin.close()
        said = process.stderr.read()
        assert process.wait(timeout=60) == 0
    assert said == "nobody reads the output any more; the training goes on\ntrained\n"
