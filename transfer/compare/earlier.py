"""What runs of before a key was there did, said with that key: so that a report of old runs beside
new ones shows the choices that differ, and no others."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from transfer.compare.replicates import drawn_from
from transfer.config.key import leaves
from transfer.config.schema import GROUPS, AugmentConfig, Config, ProtocolConfig
from transfer.tracking.run_record import RunRecord

# A new key's default is what was done before it, but for these.
_OTHERWISE = {
    "batchnorm_momentum": "published",
    "data.normalization": "images",
    "optimizer.decay_norms": "True",
}


def with_later_keys(runs: Iterable[RunRecord]) -> list[RunRecord]:
    """The same runs, each with every key that another has and that it could have had."""
    runs = _with_digests([_renamed(run) for run in runs])
    names = {name for run in runs for name in run.params}
    filled = []
    for run in runs:
        groups = (run.params.get(f"{group}.name") for group in GROUPS)
        meant = {name: value for name, value in _meant(*groups).items() if name in names}
        filled.append(replace(run, params=meant | run.params))
    if all("augment.name" in run.params for run in filled):
        return filled
    # A name that only some have tells nothing that its values do not.
    return [
        replace(run, params={k: v for k, v in run.params.items() if k != "augment.name"})
        for run in filled
    ]


def _with_digests(runs: list[RunRecord]) -> list[RunRecord]:
    """The digest of test images was not always kept: those that were drawn from the same images in
    the same way are the same."""
    kept: dict[tuple[str | None, ...], set[str]] = {}
    for run in runs:
        if digest := run.params.get("data.test_digest"):
            kept.setdefault(drawn_from(run), set()).add(digest)
    return [_with_digest(run, kept.get(drawn_from(run), set())) for run in runs]


def _with_digest(run: RunRecord, kept: set[str]) -> RunRecord:
    known = run.params.get("data.test_digest") or "data.digest" not in run.params
    # Where several were kept, from folders of their own, nobody knows which it was.
    if known or len(kept) != 1:
        return run
    return replace(run, params=run.params | {"data.test_digest": next(iter(kept))})


def _renamed(run: RunRecord) -> RunRecord:
    """Augmentation was once among the data's keys."""
    if not any(name.startswith("data.augment.") for name in run.params):
        return run
    old = "data.augment."
    params = {name.replace(old, "augment."): value for name, value in run.params.items()}
    return replace(run, params=params)


@cache
def _meant(*names: str | None) -> dict[str, str]:
    """The defaults of all keys that a job with these choices of the groups has, as parameters are
    written."""
    nodes: list[tuple[str, type]] = [("", Config), ("augment.", AugmentConfig)]
    nodes.append(("protocol.", ProtocolConfig))
    for (group, choices), name in zip(GROUPS.items(), names, strict=True):
        if name in choices:
            nodes.append((f"{group}.", choices[name]))
    defaults = {
        name: "null" if value is None else str(value)
        for prefix, node in nodes
        for name, _, value in leaves(node(), prefix)
        if value != "???"
    }
    return defaults | _OTHERWISE
