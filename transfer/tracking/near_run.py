"""Why `resume=true` begins anew beside a run that looks like the one meant."""

from collections.abc import Collection, Mapping

from transfer.config.schema import KEYS
from transfer.tracking.find import find_named, find_planned_jobs, find_sweep_run
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client
from transfer.tracking.sweep_run import SweepRun

_IDENTITY = [name for name, key in KEYS.items() if key.identity]
_MOST_NAMED = 4


def why_anew(
    client: Client,
    name: str,
    params: Mapping[str, str],
    sweep: SweepRun | None = None,
    planned: Collection[str] = (),
) -> str:
    """One line on the run of the same name that is nearest to a new job, and what keeps that from
    being gone on with; empty where the store has none of this name.

    Args:
        name: of the job's run.
        params: its parameters, as they will be logged.
        sweep: that the job is part of. Its other jobs are no earlier try of this one, whenever they
            ran.
        planned: the fingerprints of the jobs of a sweep that has not begun.
    """
    named = (run for run in find_named(client, name) if "data.digest" in run.params)
    # One on another data set was meant by nobody.
    others = [run for run in named if run.params.get("data.name") == params["data.name"]]
    if sweep is not None and others:
        planned = find_planned_jobs(client, find_sweep_run(client, sweep.run_id))
        others = [run for run in others if run.tags.get("mlflow.parentRunId") != sweep.run_id]
    others = [run for run in others if run.tags.get("transfer.fingerprint") not in planned]
    if not others:
        return ""
    nearest = min(others, key=lambda run: len(_differences(run, params)))
    found = _differences(nearest, params)
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    what = ", ".join(found[:_MOST_NAMED]) or "it is of another version of this project"
    return (
        f"resume=true: {name} begins anew: run {nearest.id} ({nearest.state}) was another "
        f"training: {what}{more}"
    )


def _differences(run: RunRecord, params: Mapping[str, str]) -> list[str]:
    there = run.params
    found = [
        f"{name}={there[name]} there, {params[name]} here"
        for name in _IDENTITY
        if name in there and name in params and there[name] != params[name]
    ]
    if there["data.digest"] != params["data.digest"]:
        found.append(_other_images(there, params))
    if there.get("weights.digest") != params["weights.digest"]:
        found.append("other initial weights")
    return found


def _other_images(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    if there.get("data.files_digest") == here["data.files_digest"]:
        return "the same image files, divided or read otherwise"
    counts = []
    for name, verb in (("data.train_images", "train"), ("data.test_images", "test")):
        if (count := there.get(name, "?")) != here[name]:
            counts.append(f"{count} to {verb} on there, {here[name]} here")
    return f"other images ({'; '.join(counts) or 'as many to train on and to test on'})"
