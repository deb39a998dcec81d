"""What the runs of a report were made from and by, and by which protocol."""

from collections.abc import Mapping, Sequence

from transfer.compare.replicates import replicate_of
from transfer.config.schema import KEYS
from transfer.report.language import Words
from transfer.system.markdown import literal
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import Selection


def facts(selection: Selection, words: Words) -> list[str]:
    """Where the runs come from, a line each: their images, weights, device and versions."""
    runs, sweeps = selection.runs, selection.sweeps

    def of_runs(key: str) -> str:
        found = dict.fromkeys(run.params[key] for run in runs if key in run.params)
        return literal(", ".join(found)) or words("unknown")

    def of_tags(tag: str, otherwise: str) -> str:
        # Of the runs themselves: a sweep that was resumed may have seen several versions.
        carriers = [run for run in runs if run.id] or sweeps
        return ", ".join(dict.fromkeys(each.tags.get(tag, otherwise) for each in carriers))

    lines = [] if sweeps else [words("fact.all")]
    for sweep in sweeps:
        command = sweep.tags.get("transfer.command", words("unknown"))
        lines += [
            words("fact.command", text=command),
            words("fact.sweep", name=literal(sweep.tags["transfer.sweep"]), id=sweep.id),
        ]
    if selection.where:
        lines.append(words("fact.where", where=selection.where, left_out=selection.left_out))
    finished = [run for run in runs if run.finished]
    apart = finished and all(validates_apart(run.params) for run in finished)
    once = words("once_a_run") if apart else ""
    lines += [
        words("fact.data", name=of_runs("data.name"), digest=of_runs("data.digest")),
        words("fact.images", count=of_runs("data.test_images"), once=once),
    ]
    for problem in ("skipped", "shared"):
        key = f"data.{problem}_images"
        if any(run.params.get(key, "0") != "0" for run in runs):
            lines.append(words(f"fact.{problem}", count=of_runs(key)))
    names = literal(", ".join(dict.fromkeys(run.device for run in runs if run.device)))
    device = {"device": names or words("unknown")}
    device |= {key: of_runs(key) for key in ("precision", "threads")}
    lines += [
        words("fact.weights", name=of_runs("weights"), digest=of_runs("weights.digest")),
        *_kept_weights(runs, words),
        *_normalizations(runs, words),
        *_replicates(runs, words),
        words("fact.device", **device),
        words("fact.versions", text=of_tags("transfer.versions", words("unknown"))),
        words("fact.commit", text=of_tags("mlflow.source.git.commit", words("no_git"))),
    ]
    results = [(run.tags["transfer.configuration"], replicate_of(run)) for run in finished]
    # Of one configuration and replicate, the last run counts.
    if again := len(results) - len(set(results)):
        lines.append(words("fact.repeated", count=again))
    return lines


def _kept_weights(runs: Sequence[RunRecord], words: Words) -> list[str]:
    """Whose weights can still be had, where that is not everybody's."""
    chosen = {run.params.get("tracking.weights", "all") for run in runs if run.finished}
    return [words(f"fact.weights_{each}") for each in ("best", "none") if each in chosen]


def _replicates(runs: Sequence[RunRecord], words: Words) -> list[str]:
    """The seeds; splits and folds where there are several."""
    known = [replicate_of(run) for run in runs if "seed" in run.params]
    seeds, splits, folds = (sorted({each[place] for each in known}) for place in range(3))
    lines = [words("fact.seeds", seeds=", ".join(map(str, seeds)) or words("unknown"))]
    for name, numbers in (("splits", splits), ("folds", folds)):
        if len(numbers) > 1:
            lines.append(words(f"fact.{name}", numbers=", ".join(map(str, numbers))))
    return lines


def _normalizations(runs: Sequence[RunRecord], words: Words) -> list[str]:
    """How images were normalised, a line each way; with the models where there are several."""
    models: dict[tuple[str, ...], dict[str, None]] = {}
    for run in runs:
        # Runs of before it was kept say nothing.
        if "normalization.source" in run.params:
            way = tuple(run.params[f"normalization.{name}"] for name in ("source", "mean", "std"))
            models.setdefault(way, {})[run.params["model.name"]] = None
    lines = []
    for (source, mean, std), names in models.items():
        of_models = f" ({', '.join(names)})" if len(models) > 1 else ""
        how = words(f"normalization.{source}")
        lines.append(words("fact.normalization", how=how, mean=mean, std=std, models=of_models))
    return lines


def trains_augmented(params: Mapping[str, str]) -> bool:
    """Whether the training images were augmented: not where all that trained read stored features
    of images as they are."""
    part_alone = params.get("tune", "all").startswith(("head", "last:"))
    if part_alone or params.get("freeze_epochs") == params.get("epochs"):
        stored = params.get("frozen_features") == "cache"
        if stored and params.get("feature_views", "0") == "0":
            return False
    # Runs of before augmentation was a group have its keys among the data's.
    found = {name.removeprefix("data."): value for name, value in params.items()}
    found = {name: value for name, value in found.items() if name.startswith("augment.")}
    found.pop("augment.name", None)
    return any(name in KEYS and value != str(KEYS[name].default) for name, value in found.items())


def evaluates_augmented(params: Mapping[str, str]) -> bool:
    """Whether validation and test images were augmented too."""
    return f"'{params['model.name']}'" in params.get("protocol.augment_evaluation_of", "[]")


def validates_apart(params: Mapping[str, str]) -> bool:
    """Whether the validation images were others than the test images, which are read once then."""
    return params.get("protocol.validation", "held_out") == "held_out"
