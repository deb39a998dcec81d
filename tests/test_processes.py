"""A forked command is to the eye a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import fork_server

_SHOWS = """
import os, sys
print(sys.argv, sys.orig_argv[1:], sys.path[0], __name__, __file__)
print(os.getcwd(), os.environ.get("MLFLOW_TRACKING_URI"), "processes" in sys.modules)
print("no", file=sys.stderr)
sys.exit(3)
"""


def _run(script: Path, timeout: float = 60, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **changes}
    server = fork_server(environment)
    if server is None:
        pytest.skip("this system cannot fork a process that has imported much")
    return server.run([str(script), "a b"], script.parent, environment, timeout)


def test_a_script_finds_what_python_would_give_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_SHOWS)
    forked = _run(script, MLFLOW_TRACKING_URI="x")
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "x"}
    call = [sys.executable, str(script), "a b"]
    started = subprocess.run(
        call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert forked.stdout == started.stdout
    assert (forked.returncode, forked.stderr) == (started.returncode, started.stderr) == (3, "no\n")


@pytest.mark.parametrize(
    ("ends", "code"), [("", 0), ("1 / 0", 1), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_however_a_script_ends_its_code_is_known(tmp_path: Path, ends: str, code: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(ends)
    process = _run(script)
    assert process.returncode == code
    assert ("ZeroDivisionError" in process.stderr) == (code == 1)


def test_a_script_that_takes_too_long_is_killed_and_the_next_one_runs(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import time; time.sleep(60)")
    with pytest.raises(subprocess.TimeoutExpired):
        _run(script, timeout=0.5)
    script.write_text("print('next')")
    assert _run(script).stdout == "next\n"


def test_a_script_that_was_started_is_seen_as_it_goes_and_signalled(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time\n"
        "print(sys.orig_argv[1:]); print('no', file=sys.stderr)\n"
        "try: time.sleep(60)\n"
        "except KeyboardInterrupt: print('saved'); sys.exit(130)\n"
    )
    environment = dict(os.environ)
    server = fork_server(environment)
    if server is None:
        pytest.skip("this system cannot fork a process that has imported much")
    call = [str(script), "a b"]
    interrupted, killed = (server.start(call, tmp_path, environment) for _ in range(2))
    for process in (interrupted, killed):
        assert process.stdout is not None
        assert process.stdout.readline() == f"{['-u', *call]}\n"
        assert process.poll() is None
    # Beside them another one is run.
    assert _run(script.with_name("none.py")).returncode == 1
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.communicate(timeout=60) == ("saved\n", "no\n")
    assert interrupted.returncode == interrupted.poll() == 130
    with pytest.raises(subprocess.TimeoutExpired):
        killed.wait(0.1)
    killed.kill()
    assert killed.wait() == -9
    killed.send_signal(signal.SIGTERM)


def test_what_libraries_read_when_they_are_imported_is_not_changed_afterwards() -> None:
    assert fork_server({**os.environ, "OMP_NUM_THREADS": "7"}) is None


def test_what_torch_sets_while_it_trains_leaves_commands_their_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As its compiler does when it is first imported, which takes seconds.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/tmp/torchinductor_root")
    if sys.platform == "linux":
        assert fork_server(dict(os.environ)) is not None
