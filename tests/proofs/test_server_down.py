"""A real `mlflow server` that is killed, hangs, loses answers or never comes back.

Of real trainings nothing is missing then, nothing is there twice, and no epoch waits.
"""

from __future__ import annotations

import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.conftest import PLAIN, ROOT, Workplace
from tests.proofs.training import Server, Training
from transfer.tracking.run_state import Point, RunState, is_in_store
from transfer.tracking.store import experiment_id, open_store
from transfer.tracking.stored_run import create_run
from transfer.tracking.sync import Sync

DOWN_S = 30
ARTIFACTS = {
    *("config.yaml", "curves.png", "examples.npz", "history.parquet"),
    *("predictions.npz", "weights.safetensors"),
}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


def test_a_server_that_is_down_and_then_hangs(workplace: Workplace, server: Server) -> None:
    command = (*PLAIN, "freeze_epochs=0", "data.train_per_class=60", "tracking.patience_s=300")
    trial = Training(workplace.folder, workplace.store, *command, "epochs=8")
    assert trial.wait() == 0, trial.output
    # Long enough for two faults, whatever this machine makes of an epoch.
    epochs = int(8 * DOWN_S / statistics.median(trial.epoch_seconds(0, time.monotonic())))
    training = Training(workplace.folder, server.address, *command, f"epochs={epochs}")
    training.wait_for_epoch(epochs // 6)
    faults = {}
    for name, begin, end in (
        ("down", server.kill, server.start),
        ("hung", lambda: server.signal(signal.SIGSTOP), lambda: server.signal(signal.SIGCONT)),
    ):
        begin()
        start = time.monotonic()
        time.sleep(DOWN_S)
        stop = time.monotonic()
        end()
        # A server that starts takes its share of the processor, so that time counts as neither.
        faults[name] = (start, stop, time.monotonic())
        training.wait_for_epoch(len(training.epoch_ends) + epochs // 12)
    assert training.wait() == 0, training.output
    _require_complete(server, epochs)
    with_server = _with_server(training, faults)
    usual = statistics.median(with_server)
    print(f"\nseconds an epoch, median: {usual:.3f} of {len(with_server)} with the server")
    for name, (start, stop, _) in faults.items():
        meanwhile = training.epoch_seconds(start, stop)
        median = statistics.median(meanwhile)
        print(f"{median:.3f} of {len(meanwhile)} while it was {name}: {median / usual:.2f} times")
    for start, stop, _ in faults.values():
        assert statistics.median(training.epoch_seconds(start, stop)) < 1.1 * usual


def _with_server(training: Training, faults: dict[str, tuple[float, float, float]]) -> list[float]:
    """Seconds of the epochs before, between and after the faults."""
    (killed, _, started), (stopped, _, continued) = faults.values()
    return [
        *training.epoch_seconds(0, killed),
        *training.epoch_seconds(started, stopped),
        *training.epoch_seconds(continued, time.monotonic()),
    ]


def test_a_server_that_never_comes_back(workplace: Workplace, server: Server) -> None:
    command = (*PLAIN, "epochs=8", "freeze_epochs=2", "tracking.patience_s=5")
    training = Training(workplace.folder, server.address, *command)
    training.wait_for_epoch(3)
    server.kill()
    assert training.wait() == 3, training.output
    [folder] = workplace.folder.glob("multirun/*/*")
    said = f"deliver them with: python experiments/deliver.py folder={folder}"
    assert said in training.output and "Traceback" not in training.output
    print("\n" + training.output)
    assert (folder / "weights.safetensors").is_file()
    delivery = [sys.executable, str(ROOT / "experiments" / "deliver.py"), f"folder={folder}"]
    refused = subprocess.run(delivery, capture_output=True, text=True, check=False)
    assert refused.returncode == 3
    assert len(refused.stderr.splitlines()) == 1 and "cannot be opened" in refused.stderr
    server.start()
    # Killed in the middle, and once more from there.
    database = MlflowClient(server.database)
    before = _epochs_in(database)
    process = subprocess.Popen(delivery)
    while _epochs_in(database) == before:
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not is_in_store(folder)
    print(f"{before} epochs were there, {_epochs_in(database)} when the delivery was killed")
    delivered = subprocess.run(delivery, capture_output=True, text=True, check=False)
    assert delivered.returncode == 0, delivered.stderr
    print(delivered.stdout)
    _require_complete(server, epochs=8)


def _epochs_in(client: MlflowClient) -> int:
    """How many epochs of the one run the store has."""
    [run] = client.search_runs([experiment_id(client)])
    return len(client.get_metric_history(run.info.run_id, "val/acc"))


def test_a_sweep_whose_server_goes_away(workplace: Workplace, server: Server) -> None:
    command = ("-m", *PLAIN, "seed=0,1", "epochs=6", "freeze_epochs=2", "tracking.patience_s=3")
    training = Training(workplace.folder, server.address, *command)
    training.wait_for_epoch(3)
    server.kill()
    assert training.wait() == 1, training.output
    print("\n" + training.output)
    assert "no report yet; once it can:" in training.output
    assert training.output.strip().splitlines()[-1].endswith("resume=true")
    assert "Traceback" not in training.output
    server.start()
    again = Training(workplace.folder, server.address, *command, "resume=true")
    assert again.wait() == 0, again.output
    assert "simple_cnn-freeze2-seed0: finished before" in again.output
    assert len(again.epoch_ends) == 6, "the second job's"
    client = MlflowClient(server.database)
    runs = client.search_runs([experiment_id(client)])
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    for run in runs:
        if "mlflow.parentRunId" in run.data.tags:
            _require_whole(server, run, epochs=6)
    assert list(workplace.folder.glob("multirun/*/*/report.md"))


def test_answers_that_are_lost(server: Server, tmp_path: Path) -> None:
    """The server has done what was asked, and the connection breaks before it can say so."""
    proxy = LossyProxy(server.port)
    client = open_store(f"http://127.0.0.1:{proxy.port}")
    state = RunState(tmp_path, "name", {})
    create_run(client, state)
    state.write()
    sync = Sync(client, state)
    for epoch in range(1, 11):
        # In turn: the answer to the metrics is lost, and then MLflow's own second try is answered;
        # or that of three tries, which is all that it makes.
        proxy.lose(1 if epoch % 2 else 3)
        state.append([Point("val/acc", epoch / 10, epoch, epoch)])
        sync.wake()
        while not is_in_store(tmp_path):
            time.sleep(0.05)
    sync.finish(60)
    assert str(sync) == ""
    points = MlflowClient(server.database).get_metric_history(state.run_id, "val/acc")
    assert [(point.step, point.value) for point in points] == [(n, n / 10) for n in range(1, 11)]
    print(f"\n{proxy.lost} answers lost, every point there once")
    assert proxy.lost >= 20


class LossyProxy:
    """Passes everything on to a server and back, but for the next answers to logged metrics."""

    def __init__(self, server_port: int) -> None:
        self.lost = 0
        self._to_lose = 0
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        Thread(target=self._accept, daemon=True).start()

    def lose(self, count: int) -> None:
        self._to_lose = count

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._server_port))
            doomed = Event()
            Thread(target=self._ask, args=(client, server, doomed), daemon=True).start()
            Thread(target=self._answer, args=(client, server, doomed), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, doomed: Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if b"/runs/log-batch" in data and self._to_lose:
                    self._to_lose -= 1
                    doomed.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: socket.socket, server: socket.socket, doomed: Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if doomed.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


def _require_complete(server: Server, epochs: int) -> None:
    """Assert that nothing of the one run is missing."""
    client = MlflowClient(server.database)
    [run] = client.search_runs([experiment_id(client)])
    _require_whole(server, run, epochs)


def _require_whole(server: Server, run: Run, epochs: int) -> None:
    """Every point that the run's own history has, once and in order; artifacts; the status."""
    client = MlflowClient(server.database)
    assert run.info.status == "FINISHED"
    assert "transfer.error" not in run.data.tags
    assert len(run.inputs.dataset_inputs) == 1
    assert run.data.params["model.name"] == "simple_cnn"
    history = pd.read_parquet(Path(run.data.tags["hydra.output_dir"]) / "history.parquet")
    stored = {
        name: client.get_metric_history(run.info.run_id, name)
        for name in [*history["metric"].unique(), "test/acc", "profile/macs"]
    }
    for name, rows in history[history["metric"] != "step/loss"].groupby("metric"):
        points = [(point.step, point.value) for point in stored[str(name)]]
        assert points == list(zip(rows["epoch"], rows["value"], strict=True))
        assert len(points) == epochs
        times = [point.timestamp for point in stored[str(name)]]
        assert times == sorted(times)
    losses = history[history["metric"] == "step/loss"]
    stretch = -(-len(losses) // 1000)
    steps = [point.step for point in stored["step/loss"]]
    assert steps == [*range(stretch, len(losses), stretch), len(losses)]
    assert [len(stored[name]) for name in ("test/acc", "profile/macs")] == [1, 1]
    folder = Path(run.data.tags["hydra.output_dir"])
    served = MlflowClient(server.address)
    assert {file.path for file in served.list_artifacts(run.info.run_id)} == ARTIFACTS
    weights = Path(served.download_artifacts(run.info.run_id, "weights.safetensors"))
    assert weights.read_bytes() == (folder / "weights.safetensors").read_bytes()
    assert is_in_store(folder)
    assert not (folder / "checkpoints").exists()
