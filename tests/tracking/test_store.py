"""Which store is used, and a store that cannot be."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import Workplace
from transfer.system.errors import ConfigError
from transfer.system.paths import REPOSITORY
from transfer.tracking.store import experiment_id, open_store, store_uri


def test_the_choice_wins_then_the_environment_then_the_repository(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert store_uri("sqlite:///here.db") == "sqlite:///here.db"
    assert store_uri(None) == "http://server"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert store_uri(None) == f"sqlite:///{REPOSITORY}/mlflow.db"
    assert (REPOSITORY / "train.py").is_file()
    with pytest.raises(ConfigError, match=r"^tracking\.uri='': is empty; name a store, or"):
        store_uri("")


def test_artifacts_lie_beside_the_database(empty_store: Path) -> None:
    experiment = open_store(f"sqlite:///{empty_store}").get_experiment_by_name("transfer")
    assert experiment is not None
    assert experiment.artifact_location == (empty_store.parent / "mlartifacts/transfer").as_uri()


def test_a_store_of_an_unknown_kind_is_one_line() -> None:
    with pytest.raises(ConfigError) as refused:
        open_store("nonsense://x")
    assert refused.value.key == "tracking.uri"


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("nonsense " * 100)
    with pytest.raises(ConfigError, match=r"tracking\.uri=.*mlflow\.db is no SQLite database"):
        open_store(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql+psycopg://127.0.0.1:9/mlflow"])
def test_a_server_that_is_down_is_noticed_at_once(uri: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_store(uri)
    assert time.perf_counter() - start < 10


def test_the_end_of_a_run_on_a_server_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """MLflow would ask for the run once more, and print its address, password and all."""
    asked = list[str]()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        client = open_store(f"http://team:secret@127.0.0.1:{server.server_port}")
        del asked[:]
        client.set_terminated("0" * 32, "FINISHED", end_time=1)
        server.shutdown()
    assert [path.rpartition("/")[2] for path in asked] == ["update"]
    assert capfd.readouterr().out == ""


@pytest.mark.skipif(find_spec("psycopg") is not None, reason="has that driver")
def test_a_driver_that_is_missing_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConfigError, match="pip install psycopg2-binary"):
            open_store(f"postgresql+psycopg://{address}/mlflow")


@pytest.mark.skipif(find_spec("psycopg2") is None, reason="has not that driver")
def test_a_database_that_refuses_is_asked_once() -> None:
    """As one that a wrong password is sent to."""
    asked = list[bytes]()

    def refuse() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    if asked_for := connection.recv(1000):
                        asked.append(asked_for)
                        words = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0"
                        connection.sendall(b"E" + struct.pack("!i", len(words) + 4) + words)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=refuse, daemon=True).start()
        uri = (
            f"postgresql+psycopg2://me:wrong@127.0.0.1:{server.getsockname()[1]}/x?sslmode=disable"
        )
        with pytest.raises(
            ConfigError, match=r"me:\*\*\*@.*: the store .*password authentication f"
        ):
            open_store(uri)
    assert len(asked) == 1


def test_a_disk_on_which_sqlite_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.raises(ConfigError, match=r"this disk knows no locks, which SQLite needs; name a"):
        open_store(f"sqlite:///{tmp_path}/mlflow.db")
    assert list(tmp_path.iterdir()) == []


def test_processes_that_open_a_new_store_at_once(tmp_path: Path) -> None:
    program = f"from transfer.tracking.store import *; open_store('sqlite:///{tmp_path}/new.db')"
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    assert experiment_id(open_store(f"sqlite:///{tmp_path}/new.db")) == "1"


def test_a_deleted_experiment_is_said_to_be_deleted(workplace: Workplace) -> None:
    workplace.client.delete_experiment(experiment_id(workplace.client))
    with pytest.raises(ConfigError, match="bring it back with: mlflow experiments restore"):
        open_store(workplace.store)


def test_the_environment_names_the_experiment(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "flowers / 2026")
    client = open_store(workplace.store)
    experiment = client.get_experiment(experiment_id(client))
    assert experiment.name == "flowers / 2026"
    folder = workplace.folder / "mlartifacts/flowers___2026"
    assert experiment.artifact_location == folder.as_uri()
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    assert client.get_experiment(experiment_id(client)).name == "transfer"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "1")
    with pytest.raises(ConfigError, match=r"MLFLOW_EXPERIMENT_ID=1: give its name, as MLFLOW_EX"):
        open_store(workplace.store)
