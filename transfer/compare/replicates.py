"""Which runs repeat each other: trainings of one configuration by other seeds, splits or folds."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from transfer.compare.groups import join
from transfer.compare.keys import is_compared
from transfer.tracking.run_record import RunRecord

# Where images lie is no choice; which ones are trained on is.
_FOLDERS = ("data.train_folder", "data.val_folder", "data.test_folder")


class Replicate(NamedTuple):
    """One of the trainings of a configuration.

    Attributes:
        fold: -1 without folds.
    """

    seed: int
    data_seed: int
    fold: int

    @property
    def split(self) -> tuple[int, int]:
        """What its images are divided by."""
        return self.data_seed, self.fold


def replicate_of(run: RunRecord) -> Replicate:
    fold = run.params.get("data.fold", "null")
    return Replicate(
        int(run.params["seed"]),
        int(run.params.get("data.seed", "0")),
        -1 if fold in ("null", "None") else int(fold),
    )


def test_images_of(run: RunRecord) -> tuple[str | None, ...]:
    """What identifies the images that a run was tested on."""
    known = run.params.get("data.test_digest")
    return (known,) if known else drawn_from(run)


def by_test_set(runs: Iterable[RunRecord]) -> list[list[RunRecord]]:
    """Finished runs by the images that they were tested on: only those can be ranked together.

    Test sets that folds or data seeds draw from one pool of images belong to one part.
    """
    finished = [run for run in runs if run.finished]
    return join(finished, [list(_names_of_test_set(run)) for run in finished])


def _names_of_test_set(run: RunRecord) -> Iterator[tuple[str | None, ...]]:
    yield ("images", *test_images_of(run))
    if "data.digest" in run.params:
        # Runs of before the digest of test images was kept are found by what these are drawn from.
        yield ("drawn", *drawn_from(run))
    # Of folds, their number says how much is tested.
    share = "data.test_fraction" if replicate_of(run).fold < 0 else "data.folds"
    # "null" says that the test set is one of its own.
    if run.params.get("data.pool_digest", "null") != "null":
        yield ("pool", run.params["data.pool_digest"], run.params.get(share))
    if "data.pool_digest" not in run.params:
        for digest in ("data.files_digest", "data.digest"):
            if digest in run.params:
                yield (digest, *(run.params.get(name) for name in (digest, share, *_FOLDERS)))


def drawn_from(run: RunRecord) -> tuple[str | None, ...]:
    """What a test set without a folder of its own is drawn from, and by."""
    names = ("data.digest", "data.seed", "data.test_fraction", "data.fold")
    return tuple(run.params.get(name, "null") for name in names)


def configurations(runs: Sequence[RunRecord]) -> list[dict[Replicate, RunRecord]]:
    """Finished runs of each configuration by replicate, in the order of their replicates; of two
    of one replicate the last, for the same seed again is the same result again.

    Configurations are those of the tag, joined where all that was chosen is the same but what
    draws their images.
    """
    return fold([run for run in runs if run.finished])


def fold(runs: Iterable[RunRecord]) -> list[dict[Replicate, RunRecord]]:
    """As `configurations`, of runs that need not have finished."""
    tagged: dict[str, dict[Replicate, RunRecord]] = {}
    for run in runs:
        members = tagged.setdefault(run.tags["transfer.configuration"], {})
        members[replicate_of(run)] = run
    alike: dict[tuple[object, ...], list[dict[Replicate, RunRecord]]] = {}
    for members in tagged.values():
        choices = _choices(next(iter(members.values())))
        rows = alike.setdefault(choices, [])
        # The same split by another tag is another recipe, that its parameters do not show; and what
        # came after that is of the later one.
        splits = {replicate.split for replicate in members}
        free = [row for row in rows if not splits & {each.split for each in row}]
        row = free[-1] if free else None
        if row is None:
            rows.append(members)
        else:
            row.update(members)
    return [dict(sorted(row.items())) for rows in alike.values() for row in rows]


def _choices(run: RunRecord) -> tuple[object, ...]:
    chosen = {name: value for name, value in run.params.items() if is_compared(name)}
    images = (run.params.get(name) for name in ("data.digest", *_FOLDERS, "weights.digest"))
    return (*images, *sorted(chosen.items()))
