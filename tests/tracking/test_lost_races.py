"""Two machines that write the same into a server's database at once: neither loses anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import DatasetInput
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from tests.conftest import Workplace
from transfer.tracking.run_state import RunState
from transfer.tracking.store import experiment_id, open_store
from transfer.tracking.stored_run import create_run
from transfer.tracking.sync import Sync


def test_who_is_second_to_log_a_data_set_tries_again(
    workplace: Workplace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What PostgreSQL answers where two machines log the same one at once; it is no news."""
    problem = '(psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "d"'
    log_inputs, refused = MlflowClient.log_inputs, list[str]()

    def lose_a_race(client: MlflowClient, run_id: str, data_sets: list[DatasetInput]) -> None:
        if not refused:
            refused.append(run_id)
            raise MlflowException(problem, error_code=BAD_REQUEST)
        log_inputs(client, run_id, data_sets)

    monkeypatch.setattr(MlflowClient, "log_inputs", lose_a_race)
    state = RunState(tmp_path, "name", {})
    create_run(workplace.client, state)
    state.write(data_set={"name": "d", "digest": "1", "source_type": "local", "source": "{}"})
    sync = Sync(workplace.client, state)
    sync.finish(30)
    assert str(sync) == "" and refused == [state.run_id]
    [data_set] = workplace.client.get_run(state.run_id).inputs.dataset_inputs
    assert data_set.dataset.digest == "1"
    assert caplog.messages == []


def test_another_machine_may_make_the_experiment_meanwhile(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, asked = MlflowClient.get_experiment_by_name, list[str]()

    def not_at_first(client: MlflowClient, name: str) -> object:
        asked.append(name)
        return find(client, name) if len(asked) > 1 else None

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", not_at_first)
    assert experiment_id(open_store(workplace.store)) == "1"
