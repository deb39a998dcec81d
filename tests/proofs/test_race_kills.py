"""A sweep in rungs that is killed again and again drops the same ones as one that never was.

Real processes, `python train.py -m hydra/sweeper=halving …`, eight runs on the digits. The moments
come from a seed, which is printed; PROOF_SEED sets another.
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable

import pytest
from mlflow.entities import Run
from safetensors.torch import load_file

from tests.conftest import PLAIN, Workplace
from tests.proofs.test_kills import SEED, end_at_a_random_moment
from tests.sweep.test_resume import history

KILLS = 20
SWEEP = (
    *("-m", *PLAIN, "freeze_epochs=0", "epochs=12", "data.train_per_class=10", "batch_size=25"),
    *("optimizer.lr=1e-3,3e-4,1e-4,1e-6", "seed=0,1", "hydra/sweeper=halving"),
    *("hydra.sweeper.first_rung=3", "hydra.sweeper.eta=2"),
)


@pytest.mark.parametrize(("keep", "begun"), [("paired", 8), ("forecast", 6)])
def test_a_race_that_is_killed_at_random_moments(
    keep: str, begun: int, new_workplace: Callable[[], Workplace]
) -> None:
    sweep = (*SWEEP, f"hydra.sweeper.keep={keep}")
    undisturbed = new_workplace()
    _end(undisturbed, *sweep)
    place, moments = new_workplace(), random.Random(SEED)
    where: Counter[str] = Counter()
    for number in range(KILLS):
        where[end_at_a_random_moment(place, sweep, moments, signal.SIGKILL)] += 1
        print(f"{number + 1}/{KILLS}", dict(where), flush=True)
    _end(place, *sweep, "resume=true")
    ours, theirs = _by_job(place), _by_job(undisturbed)
    assert len(ours) == begun and ours.keys() == theirs.keys()
    dropped = 0
    for job, run in ours.items():
        twin = theirs[job]
        assert run.info.status == twin.info.status
        told = [each.data.tags.get("transfer.dropped") for each in (run, twin)]
        assert told[0] == told[1]
        dropped += told[0] is not None
        assert history(place.client, run) == history(undisturbed.client, twin)
        if run.info.status == "FINISHED":
            one, two = (
                load_file(each.client.download_artifacts(of.info.run_id, "weights.safetensors"))
                for each, of in ((place, run), (undisturbed, twin))
            )
            assert all((one[key] == two[key]).all() for key in two)
    assert 2 <= dropped < begun
    assert not list(place.folder.glob("multirun/*/*/*/checkpoints"))
    told_where = ", ".join(f"{count} {what}" for what, count in sorted(where.items()))
    same = f"the same {dropped} of {begun} runs dropped"
    print(f"\n{KILLS} kills from seed {SEED} ({told_where}), {keep}: {same}")


def _end(place: Workplace, *command: str) -> None:
    process = place.start_from_scratch(*command)
    process.communicate()
    assert process.returncode == 0


def _by_job(place: Workplace) -> dict[tuple[str, str], Run]:
    jobs = [run for run in place.runs() if "seed" in run.data.params]
    runs = {(run.data.params["optimizer.lr"], run.data.params["seed"]): run for run in jobs}
    assert len(runs) == len(jobs), "one run a job"
    return runs
