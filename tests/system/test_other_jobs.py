"""Jobs of other processes are seen while they run, and no longer."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from transfer.system.other_jobs import OtherJobs

_JOB = """
import sys
from transfer.system.other_jobs import OtherJobs
with OtherJobs() as others:
    print(others.most(), flush=True)
    sys.stdin.readline()
    print(others.most(), flush=True)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _start() -> subprocess.Popen[str]:
    call = [sys.executable, "-c", _JOB]
    pipe = subprocess.PIPE
    return subprocess.Popen(call, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


def test_others_are_counted_while_they_run(cache: Path) -> None:
    with OtherJobs() as others:
        assert others.most() == 0
        process = _start()
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        assert others.look() == 1
        output, _ = process.communicate("\n", timeout=60)
        assert output == "1\n"
        # The most since the last call, and then what is left.
        assert [others.look(), others.most(), others.most()] == [0, 1, 0]
    assert list((cache / "jobs").iterdir()) == []


def test_a_job_that_was_killed_is_not_counted(cache: Path) -> None:
    process = _start()
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert len(list((cache / "jobs").iterdir())) == 1
    with OtherJobs() as others:
        assert others.most() == 0


def test_a_cache_that_cannot_be_written_stops_no_job(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with OtherJobs() as others:
        assert others.most() == 0
