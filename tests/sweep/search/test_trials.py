"""What is kept of a search's trials, and what a report is to know of them."""

from __future__ import annotations

from pathlib import Path

from optuna.trial import TrialState

from transfer.config.search import SearchConfig, SearchPlan
from transfer.config.space import Numbers, Space
from transfer.sweep.search.study import SharedStudy
from transfer.sweep.search.trials import (
    CHOSEN,
    JOB,
    PRUNED,
    REPEATS,
    RETRY_OF,
    SECONDS,
    planned_jobs,
    record_of,
    retried,
    typical_seconds,
)
from transfer.tracking.searches import TrialRecord

_SPACE = Space({"lr": Numbers(0.1, 1, None, log=True, whole=False)}, [])


def test_trials_are_told_as_they_ended(tmp_path: Path) -> None:
    study, options = SharedStudy(tmp_path), SearchConfig(sampler="random")
    assert typical_seconds(study) == 0, "nobody knows yet"
    for number, seconds in enumerate((3, 50, 4)):
        study.ask(options, _SPACE)
        study.note(number, CHOSEN, [f"lr={number}"])
        study.note(number, JOB, {"name": "a", "overrides": "", "fingerprint": f"{number}"})
        study.note(number, SECONDS, seconds)
        study.optuna.tell(number, number / 10)
    assert typical_seconds(study) == 4
    # 3 is pruned, 4 fails, 5 is the same as 1 in its place, and 6 is not over.
    for number in (3, 4):
        study.ask(options, _SPACE)
        study.storage.set_trial_intermediate_value(study.trial_id(number), 1, 0.3)
        study.storage.set_trial_intermediate_value(study.trial_id(number), 2, 0.2)
    study.note(3, PRUNED, 2)
    study.optuna.tell(3, state=TrialState.PRUNED)
    study.optuna.tell(4, state=TrialState.FAIL)
    study.optuna.enqueue_trial(study.trial(4).params, user_attrs={RETRY_OF: 4})
    assert study.ask(options, _SPACE)[0] == 5
    assert study.trial(5).params == study.trial(4).params
    study.note(5, JOB, {"name": "a", "overrides": "", "fingerprint": "1"})
    study.note(5, REPEATS, 1)
    study.optuna.tell(5, 0.1)
    study.ask(options, _SPACE)
    assert retried(study) == {4}
    assert [each.fingerprint for each in planned_jobs(study)] == ["0", "1", "2"]
    record = record_of(study, SearchPlan(options, _SPACE, None, 3, "acc"))
    assert record.pruner == "none" and record.importances == {}
    assert list(record.trials[2:]) == [
        TrialRecord(2, "finished", ["lr=2"], 0.2, None, None),
        TrialRecord(3, "pruned", [], 0.3, 2, None),
        TrialRecord(5, "finished", [], 0.1, None, 1),
        TrialRecord(6, "running", [], None, None, None),
    ]
