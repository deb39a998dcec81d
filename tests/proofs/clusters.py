"""Clusters of this machine alone for the proofs of launchers: Ray's and Slurm's own programs, on a
loopback that nobody else sees."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest

from tests.conftest import Workplace, children
from tests.sweep.test_resume import history

PORT = 6379


def not_run(why: str) -> NoReturn:
    """Say in a line that a proof was not run, and why."""
    print(f"\nNOT RUN: {why}")
    pytest.skip(why)


@contextmanager
def loopback() -> Iterator[tuple[str, ...]]:
    """A network that has a loopback and nothing else; gives what goes before a command there."""
    if os.geteuid() or not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        not_run("a network of its own needs root, with unshare, nsenter and ip")
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        inside = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
        while Path(f"/proc/{holder.pid}/comm").read_text() != "sleep\n":
            time.sleep(0.05)
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        yield inside
    finally:
        holder.kill()
        holder.wait()


class RayCluster:
    """Nodes on one machine, each with one core for jobs.

    Attributes:
        inside: what goes before a command that is to see them.
    """

    def __init__(self, folder: Path, inside: Sequence[str]) -> None:
        self._folder, self.inside = folder, tuple(inside)

    def start(self, *arguments: str) -> int:
        """Begin a node; gives the number of the process that is the node."""
        before = set(self._nodes())
        begun = subprocess.run(
            [
                *(*self.inside, str(Path(sys.executable).with_name("ray")), "start", *arguments),
                *("--num-cpus", "1", "--node-ip-address", "127.0.0.1"),
                *("--object-store-memory", "80000000", "--disable-usage-stats"),
            ],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert begun.returncode == 0, begun.stdout
        [node] = set(self._nodes()) - before
        return node

    def start_head(self) -> int:
        """Begin the node to which others come."""
        folder = f"--temp-dir={self._folder}"
        return self.start("--head", f"--port={PORT}", "--include-dashboard=false", folder)

    def join(self) -> int:
        """Begin one more node."""
        return self.start(f"--address=127.0.0.1:{PORT}")

    def stop(self) -> None:
        """End all processes of all nodes."""
        for number in self._processes(""):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)

    def _nodes(self) -> list[int]:
        return self._processes("raylet/raylet ")

    def _processes(self, words: str) -> list[int]:
        """Those of this cluster whose command line has these words in it."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                own = (path / "ns/net").readlink() == self._network()
                if own and words in line and int(path.name) != self._holder:
                    found.append(int(path.name))
        return found

    @property
    def _holder(self) -> int:
        return int(self.inside[-1].split("/")[2])

    def _network(self) -> Path:
        return Path(f"/proc/{self._holder}/ns/net").readlink()


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster without nodes, and its end."""
    if find_spec("ray") is None:
        not_run("needs Ray: python -m pip install -c constraints.txt -e '.[ray]'")
    # The name of a socket has 107 bytes at most, and pytest's own folders leave too few of them.
    with (
        TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        loopback() as inside,
        pytest.MonkeyPatch.context() as environment,
    ):
        # Where a user has a token of another cluster, the head asks for it, and nodes have none.
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        cluster = RayCluster(Path(folder), inside)
        try:
            yield cluster
        finally:
            cluster.stop()


_SLURM_CONF = """
ClusterName=proof
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=60
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 NodeHostname={host} CPUs=2 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1 GraceTime=60 MaxTime=INFINITE State=UP
PartitionName=high Nodes={host} PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP
"""


class Slurm:
    """Slurm on two cores, with a partition `low`, and one that preempts its jobs, `high`."""

    def ask(self, *command: str) -> str:
        """What a command of Slurm's answers."""
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def running(self, partition: str = "low") -> list[str]:
        """The numbers of the jobs that run now, such as 7_0."""
        asked = ("--partition", partition, "--states=RUNNING", "--noheader", "--array")
        return sorted(self.ask("squeue", *asked, "--format=%i").split())


@contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """Start its daemons, and end them."""
    programs = ("munged", "slurmctld", "slurmd", "sbatch")
    if missing := [each for each in programs if shutil.which(each) is None]:
        not_run(f"needs {', '.join(missing)}: apt install slurmctld slurmd slurm-client munge")
    if os.geteuid():
        not_run("Slurm's daemons need root")
    if find_spec("submitit") is None:
        not_run("needs submitit: python -m pip install -c constraints.txt -e '.[slurm]'")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(1024))
    config = folder / "slurm.conf"
    config.write_text(_SLURM_CONF.format(folder=folder, host=socket.gethostname().split(".")[0]))
    munge = [f"--{name}={folder}/{value}" for name, value in _MUNGE.items()]
    with ExitStack() as daemons, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(config))
        for command in (["munged", "-F", "-f", *munge], ["slurmctld", "-D"], ["slurmd", "-D"]):
            log = daemons.enter_context((folder / f"{command[0]}.log").open("w"))
            daemon = subprocess.Popen(command, stdout=log, stderr=log)
            daemons.callback(_end, daemon)
            time.sleep(1)
        cluster = Slurm()
        wait_for(lambda: "idle" in cluster.ask("sinfo", "--noheader", "--format=%t"), 60)
        try:
            yield cluster
        finally:
            for each in (["--signal=KILL", "--full"], []):
                subprocess.run(["scancel", "--user=root", *each], check=False)
            wait_for(lambda: not cluster.ask("squeue", "--noheader"), 120)


_MUNGE = {
    "key-file": "munge.key",
    "socket": "munge.sock",
    "pid-file": "munged.pid",
    "log-file": "munged.log",
    "seed-file": "munged.seed",
}


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def wait_for(done: Callable[[], object], seconds: float = 600) -> None:
    """Look ten times a second whether something is so, which may fail as long as it is not."""
    end = time.monotonic() + seconds
    while True:
        with suppress(subprocess.CalledProcessError, FileNotFoundError):
            if done():
                return
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.1)


@contextmanager
def train(
    place: Workplace, *arguments: str, inside: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Start train.py, which does not outlive a proof that fails."""
    process = place.start_from_scratch(*arguments, wrapper=inside, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def epochs_of(place: Workplace) -> dict[int, int]:
    """How many epochs each job has trained so far, by its log."""
    return _count(place, "^epoch ")


def went_on(place: Workplace) -> dict[int, int]:
    """The jobs that went on from a checkpoint, and how often."""
    return {job: times for job, times in _count(place, "going on after epoch ").items() if times}


def _count(place: Workplace, pattern: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for path in place.folder.glob("multirun/*/*/*/train.log"):
        job, times = int(path.parent.name), len(re.findall(pattern, path.read_text(), re.MULTILINE))
        found[job] = found.get(job, 0) + times
    return found


def require_same(place: Workplace, alone: Workplace) -> None:
    """Every run is there once, and FINISHED, with every metric and point as in one process."""
    ours, theirs = children(place), children(alone)
    assert ours.keys() == theirs.keys() and len(place.runs()) == len(ours) + 1
    assert {run.info.status for run in place.runs()} == {"FINISHED"}
    for name, run in theirs.items():
        assert history(place.client, ours[name]) == history(alone.client, run)
