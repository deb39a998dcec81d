"""A run that its sweep has dropped: KILLED in the store, with tags that say when and why."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from transfer.system.errors import ConfigError
from transfer.system.lock import LockedError
from transfer.tracking.delivery import deliver, note_undelivered
from transfer.tracking.previous_run import lock_of
from transfer.tracking.run_record import PAUSED_TAG
from transfer.tracking.run_state import RunState, is_in_store
from transfer.tracking.store import Client

log = logging.getLogger(__name__)

DROPPED_TAG = "transfer.dropped"


@dataclass(frozen=True)
class Dropped:
    """Why a run does not go on.

    Attributes:
        epoch: after which.
        behind: how far, with its unit: "6.1 points".
        best: the name of a run of the configuration that was the best then; empty where it was
            this one, for which there was no time.
        score: its own best on validation until then, by what it is selected by; more is better.
        why: "behind" beyond what luck explains or the share that is kept, "forecast" where that was
            told by where its curve leads, or "time", which was not enough for it.
        leads_to: of a forecast, the score at the end, with its unit: "61.2 %".
    """

    epoch: int
    behind: str
    best: str
    score: float
    why: str = "behind"
    leads_to: str = ""

    def __str__(self) -> str:
        if self.why == "forecast":
            # Of the loss less is better.
            side = "above" if self.behind.endswith(" nats") else "below"
            leads = f"leads to {self.leads_to}, {self.behind} {side} {self.best}"
            return f"dropped at epoch {self.epoch}: {leads}"
        if self.why != "time":
            return f"dropped at epoch {self.epoch}, {self.behind} behind {self.best}"
        # Of the best there may be no time to see the end.
        where = f"{self.behind} behind {self.best}" if self.best else "none was better"
        return f"dropped at epoch {self.epoch} for want of time, {where}"

    @property
    def tags(self) -> dict[str, str]:
        parts = {f"{DROPPED_TAG}_{name}": str(value) for name, value in asdict(self).items()}
        return {DROPPED_TAG: str(self), **parts}

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Self | None:
        """What the tags of a run say; None for one that was not dropped."""
        if DROPPED_TAG not in tags:
            return None
        told = {
            each.name: tags[name]
            for each in fields(cls)
            if (name := f"{DROPPED_TAG}_{each.name}") in tags
        }
        epoch, score = int(told.pop("epoch")), float(told.pop("score"))
        return cls(epoch=epoch, score=score, **told)


# None of it is true any more of a run that goes on.
PAST_TAGS = (PAUSED_TAG, *Dropped(0, "", "", 0.0).tags)


def drop_run(client: Client, folder: Path, dropped: Dropped, *, job_folder: Path) -> bool:
    """Say in a run's folder and in the store that its sweep has dropped it.

    Args:
        job_folder: Hydra's, of this command; it gets a note where the store does not learn of it.

    Returns:
        False where another process goes on with it.
    """
    try:
        # A look at whether it is locked takes the lock for a moment, too.
        with lock_of(folder, timeout_s=1.0):
            state = RunState.load(folder)
            if state is None:
                return True
            tags = state.tags | {PAUSED_TAG: None} | dropped.tags
            if (state.status, state.tags) != ("KILLED", tags):
                state.update(status="KILLED", tags=tags)
            elif is_in_store(folder):
                return True
        deliver(folder, patience_s=5, client=client)
    except LockedError:
        log.warning("another process goes on with the run in %s: let be", folder)
        return False
    except ConfigError as error:
        note_undelivered(job_folder, folder, str(error))
    return True
