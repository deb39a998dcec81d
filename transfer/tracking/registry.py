"""Networks handed over: MLflow's model registry, where the alias `champion` is on the best one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfer.system.errors import ConfigError
from transfer.system.markdown import escape_markdown
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client, answering

CHAMPION = "champion"
# The tag of a version: what its own file got on the validation images.
_SCORE = "validation_score"
# By these two trainings were validated on the same images.
_SPLIT = ("data.test_digest", "data.seed", "data.fold", "data.validation_fraction", "select_by")


@dataclass(frozen=True)
class Registered:
    """What became of a network that was registered.

    Attributes:
        version: that it has.
        champion: whether the alias is on it now.
        why: where it is not, for people.
    """

    name: str
    version: int
    champion: bool
    why: str = ""

    def __str__(self) -> str:
        address = f"models:/{self.name}/{self.version}"
        return f"{address}, now {CHAMPION}" if self.champion else f"{address}; {self.why}"


def require_name(name: str) -> None:
    """Raise ConfigError where a registered model cannot be called so."""
    if not re.fullmatch(r"[\w.-]+", name):
        raise ConfigError("register", name, "a name of letters, digits, and the signs . _ -")


def register(
    client: Client,
    run: RunRecord,
    model: Path,
    name: str,
    card: Mapping[str, Any],
    *,
    validation: Mapping[str, float],
    fault: str = "",
) -> Registered:
    """Register an MLflow model of a run as the next version of `name`. The alias moves to it where
    there is none, where the champion is of the same run, or where this file is better than the
    champion's on the same validation images. The test images choose none; by them a file may only
    be at fault.

    Args:
        model: its folder, which is kept among the run's artifacts.
        card: that of the exported file: its digest, and what is said of it.
        validation: what the file itself gets on the run's validation images: `acc`,
            `balanced_acc` and `loss`.
        fault: why it must not be the champion, such as that it is worse than the network that it
            was made of.

    Raises:
        ConfigError: the store does not take it.
    """
    from mlflow.exceptions import MlflowException

    place = f"exported/{card['sha256'][:16]}"
    tags = {key: str(card[key]) for key in ("sha256", "data", "data_digest", "commit", "numbers")}
    score = validation[run.params.get("select_by", "acc")]
    tags[_SCORE] = repr(score)
    with answering(client.tracking_uri, "written"):
        client.log_artifacts(run.id, str(model), place)
        try:
            client.get_registered_model(name)
        except MlflowException:
            client.create_registered_model(name)
        try:
            former = client.get_model_version_by_alias(name, CHAMPION)
        except MlflowException:
            former = None
        source, text = f"{run.artifacts}/{place}", _description(card)
        new = client.create_model_version(name, source, run.id, tags=tags, description=text)
        why = "" if former is None else _why_not(client, run, score, former)
        if fault:
            stays = f"stays version {former.version}" if former else "is none yet"
            why = f"{CHAMPION} {stays}: {fault}"
        if not why:
            client.set_registered_model_alias(name, CHAMPION, new.version)
    return Registered(name, int(new.version), not why, why)


def _why_not(client: Client, run: RunRecord, mine: float, former: Any) -> str:
    """Why the alias stays where it is; empty where the new version gets it."""
    from mlflow.exceptions import MlflowException

    stays = f"{CHAMPION} stays version {former.version}"
    try:
        other = RunRecord.of(client.get_run(former.run_id))
    except MlflowException:
        # Nobody can tell any more how good it was.
        return ""
    if other.id == run.id:
        return ""
    if any(other.params.get(name) != run.params.get(name) for name in _SPLIT):
        return f"{stays}, which was validated on other images, so that neither is known as better"
    by = run.params.get("select_by", "acc")
    sign = -1 if by == "loss" else 1
    # A version that somebody registered by hand has only its run's.
    its = float(former.tags.get(_SCORE, other.metrics[f"best/val_{by}"]))
    if sign * mine > sign * its:
        return ""
    return f"{stays}, which was no worse on the validation images ({its:.4g}, this one {mine:.4g})"


def _description(card: Mapping[str, Any]) -> str:
    """A card for MLflow's pages, in Markdown."""
    low, high = card["accuracy_interval_95"]
    size, classes = card["image_size"], [escape_markdown(each) for each in card["classes"]]
    lines = {
        "network": f"{card['model']}, {card['numbers']}, run {card['run_name']} ({card['run_id']})",
        "accuracy": f"{card['accuracy']:.2%} of {card['test_images']} test images "
        f"(95 % interval {low:.2%} to {high:.2%})",
        "data": f"{card['data']}, digest {card['data_digest']}",
        "reads": f"`images`: float32 [N, 3, {size}, {size}], RGB from 0 to 1, by {card['fit']}",
        "classes": ", ".join(classes[:20]) + ("…" if len(classes) > 20 else ""),
        "git commit": card["commit"],
        "SHA-256 of the exported file": card["sha256"],
    }
    return "\n".join(f"- {key}: {value}" for key, value in lines.items())
