"""`hydra/launcher=ray`, `submitit_slurm` and `submitit_local`: Hydra takes plugins from this folder
alone, and imports it even to print its help, so that the rest is imported when there is something
to launch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from transfer.sweep.launch.cluster_jobs import ClusterSweep


class _ClusterLauncher(Launcher):
    """Keeps what Hydra gives a launcher.

    Args:
        params: the keys of its file in conf/hydra/launcher/.
    """

    def __init__(self, **params: Any) -> None:
        self.params: Any = OmegaConf.to_container(OmegaConf.create(params), resolve=True)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.context, self.task, self.config = hydra_context, task_function, config

    @property
    def sweep(self) -> ClusterSweep:
        from transfer.sweep.launch.cluster_jobs import ClusterSweep

        return ClusterSweep(self.context, self.task, self.config)


class RayLauncher(_ClusterLauncher):
    """Runs the jobs on the nodes of a Ray cluster."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from transfer.sweep.launch.ray_jobs import launch

        return launch(self.sweep, self.params["ray"], job_overrides, initial_job_idx)


class SlurmLauncher(_ClusterLauncher):
    """Submits the jobs to Slurm."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from transfer.sweep.launch.submitit_jobs import launch

        return launch(self.sweep, "slurm", self.params, job_overrides, initial_job_idx)


class LocalLauncher(_ClusterLauncher):
    """Runs the jobs as Slurm would, all at once on this machine."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from transfer.sweep.launch.submitit_jobs import launch

        return launch(self.sweep, "local", self.params, job_overrides, initial_job_idx)
