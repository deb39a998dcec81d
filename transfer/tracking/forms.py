"""Exported forms of a run's network, as metrics of the run: `export/onnx_int8/acc` and the like, so
that a report made from the store alone can show what a phone will see. Knows no torch."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields

from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client, answering

PREFIX = "export/"
# A share of the time: what other programs take of a quiet machine is less.
_MUCH = 0.05
# In the order of a table: torch's own network, and what it is exported to.
FORMS = ("torch", "pt2", "onnx", "onnx_int8")


@dataclass(frozen=True)
class FormMeasures:
    """What a form is like; NaN where it is not known.

    Attributes:
        size_mb: of its file, 10^6 bytes.
        acc: accuracy on the whole test set, 0 to 1.
        acc_change, acc_change_low, acc_change_high: that minus the run's own, over the same images,
            with its 95 % interval.
        acc_change_p: McNemar's, that there is no difference.
        latency_ms, latency_p90_ms: of one image, median and 90th percentile.
        latency_64_ms, latency_64_p90_ms: of a batch of 64.
        memory_mb: what it takes.
        threads: that it computed with.
        other_jobs: how many others of this project ran on the machine meanwhile.
        waited: for which share of the time something else had its core, 0 to 1.
    """

    size_mb: float = math.nan
    acc: float = math.nan
    acc_change: float = math.nan
    acc_change_low: float = math.nan
    acc_change_high: float = math.nan
    acc_change_p: float = math.nan
    latency_ms: float = math.nan
    latency_p90_ms: float = math.nan
    latency_64_ms: float = math.nan
    latency_64_p90_ms: float = math.nan
    memory_mb: float = math.nan
    threads: float = math.nan
    other_jobs: float = math.nan
    waited: float = math.nan

    @property
    def disturbed(self) -> bool:
        """Whether it would have been faster alone."""
        return self.other_jobs > 0 or self.waited > _MUCH

    def known(self) -> dict[str, float]:
        """The measures that are numbers, by name."""
        values = {each.name: float(getattr(self, each.name)) for each in fields(self)}
        return {name: value for name, value in values.items() if math.isfinite(value)}


def log_form(client: Client, run: RunRecord, form: str, measures: FormMeasures) -> None:
    """Add the measures of a form to a finished run; later ones take the place of earlier ones, all
    of them: those that are not known any more, as where the timing failed, become NaN.

    Raises:
        ConfigError: the store does not take them.
    """
    from mlflow.entities import Metric

    start = f"{PREFIX}{form}/"
    values = {name: math.nan for name in run.metrics if name.startswith(start)}
    values |= {f"{start}{name}": value for name, value in measures.known().items()}
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, 0) for name, value in values.items()]
    with answering(client.tracking_uri, "written"):
        client.log_batch(run.id, metrics=metrics)


def forms_of(metrics: Mapping[str, float]) -> dict[str, FormMeasures]:
    """The forms that a run's metrics tell of, in the order of FORMS."""
    names = {each.name for each in fields(FormMeasures)}
    found: dict[str, FormMeasures] = {}
    for form in FORMS:
        start = f"{PREFIX}{form}/"
        own = {
            name.removeprefix(start): value
            for name, value in metrics.items()
            if name.startswith(start) and not math.isnan(value)
        }
        if own:
            found[form] = FormMeasures(**{name: own[name] for name in names & own.keys()})
    return found
