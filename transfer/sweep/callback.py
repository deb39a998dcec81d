"""What Hydra tells this project of a run or a sweep: its start and its end.

Hydra loads this module even to print its help, so it imports the rest only when there is something
to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from transfer.sweep.checking import Checking
from transfer.sweep.compose import (
    chooses,
    claim_folder,
    has_workers,
    keep_chosen_threads,
    require_folder,
    require_one_place,
    split_jobs,
)
from transfer.sweep.endings import one_line_for_people
from transfer.sweep.export.deployment import take_as_one_value
from transfer.sweep.launch.gpu_sharing import share_gpus
from transfer.sweep.loader import share_files
from transfer.sweep.unheeded import refuse_unheeded
from transfer.system import interrupt

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep


class SweepCallback(Callback):
    """Opens a sweep before its first job starts and ends it after the last; named in
    conf/config.yaml.

    Attributes:
        running: the sweep that this process drives; None in its workers and in a single run.
    """

    running: ClassVar[Sweep | None] = None

    def on_run_start(self, config: DictConfig, **kwargs: object) -> None:
        with one_line_for_people():
            refuse_unheeded(config, sweep=False)
            require_one_place(config)
            claim_folder(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        with one_line_for_people():
            refuse_unheeded(config, sweep=True)
            require_one_place(config)
            take_as_one_value(config)
            workers = has_workers(config)
            share_gpus(config)
            if workers:
                from transfer.sweep.launch.launchers import require_launcher

                require_launcher(config)
            share_files()
            choice = None
            if chooses(config):
                require_folder("hydra.sweep.dir", config.hydra.sweep.dir)
                from transfer.sweep.choose.choosing import plan_choice

                choice, jobs = plan_choice(config)
            else:
                jobs = split_jobs(config)
            # Before the imports, which take seconds.
            with Checking(len(jobs)) as checking:
                from transfer.sweep.planning import plan_sweep

                sweep = plan_sweep(config, jobs, checking, choice)
            # Whatever interrupts from here on finds the sweep, and ends it.
            with interrupt.deferred():
                sweep.open()
                SweepCallback.running = sweep
            if workers:
                keep_chosen_threads()
                interrupt.await_workers()

    def on_multirun_end(self, config: DictConfig, **kwargs: object) -> None:
        if SweepCallback.running is not None:
            with one_line_for_people():
                SweepCallback.running.end()
