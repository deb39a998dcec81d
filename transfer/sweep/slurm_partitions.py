"""What a Slurm cluster says of its partitions, before a sweep begins there."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from transfer.system.errors import ConfigError, root_cause

_PATIENCE_S = 60


def require_partition(partition: str | None, additional: Mapping[str, object]) -> None:
    """Ask the cluster for a partition.

    Args:
        partition: one, or several with commas between; None: the cluster's default.
        additional: further parameters of sbatch; with `clusters` another one is meant, which is
            not asked.

    Raises:
        ConfigError: Slurm does not answer, or has no such partition.
    """
    if {"clusters", "M"} & additional.keys():
        return
    try:
        asked = subprocess.run(
            ["sinfo", "--all", "--noheader", "--format=%R"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = f"Slurm does not answer: {root_cause(error)}"
        raise ConfigError("hydra/launcher", "submitit_slurm", problem) from error
    if asked.returncode:
        said = asked.stderr.strip().splitlines() or [f"sinfo ended with {asked.returncode}"]
        problem = f"Slurm does not answer: {said[-1]}"
        raise ConfigError("hydra/launcher", "submitit_slurm", problem)
    there = dict.fromkeys(asked.stdout.split())
    for each in partition.split(",") if partition is not None else []:
        if each not in there:
            problem = f"the cluster has no partition {each}; it has {', '.join(there)}"
            raise ConfigError("hydra.launcher.partition", partition, problem)
