"""A run as the store has it."""

from dataclasses import dataclass
from typing import Any, Self

# What MLflow calls a run that is to go on later; it has no word for one that paused.
PAUSED = "SCHEDULED"
# A run's tag: the number of epochs after which it paused.
PAUSED_TAG = "transfer.paused"
# And what the maker calls the device that it was trained on last.
DEVICE_TAG = "transfer.device"


@dataclass(frozen=True)
class RunRecord:
    """A run as the store has it; metrics are the last logged values.

    Attributes:
        artifacts: address of its artifacts' folder.
        deleted: whether somebody deleted it in the store, which keeps it hidden.
    """

    id: str
    name: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    artifacts: str = ""
    deleted: bool = False

    @classmethod
    def of(cls, run: Any) -> Self:
        """The record of MLflow's Run."""
        info, data = run.info, run.data
        texts = (dict(data.params), dict(data.metrics), dict(data.tags))
        deleted = info.lifecycle_stage == "deleted"
        return cls(info.run_id, info.run_name, info.status, *texts, info.artifact_uri, deleted)

    @property
    def device(self) -> str:
        """What it was trained on: the name of the processor or GPU; where that was not noted yet,
        the device's in torch; empty where not even that was."""
        return self.tags.get(DEVICE_TAG) or self.params.get("device", "")

    @property
    def finished(self) -> bool:
        return self.status == "FINISHED"

    @property
    def state(self) -> str:
        """Its status for people, who are told after which epoch a run paused."""
        paused = self.status == PAUSED and self.tags.get(PAUSED_TAG)
        return f"paused after epoch {paused}" if paused else self.status
