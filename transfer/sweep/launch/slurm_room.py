"""Whether a Slurm cluster would take jobs, asked before a sweep begins there."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Mapping
from typing import Any

from transfer.system.errors import ConfigError, root_cause

log = logging.getLogger(__name__)

_PATIENCE_S = 60
# Keys whose names are those of sbatch's options.
_OPTIONS = (
    "partition", "account", "qos", "constraint", "exclude", "gres", "comment",
    "nodes", "cpus_per_task", "gpus_per_node",
)  # fmt: skip
# Said as well where the nodes that have it are down or drained, for which a job may wait.
_NOT_NOW = "Requested node configuration is not available"


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
    asked = _ask("sinfo", "--all", "--noheader", "--format=%R")
    if asked.returncode:
        said = asked.stderr.strip().splitlines() or [f"sinfo ended with {asked.returncode}"]
        problem = f"Slurm does not answer: {said[-1]}"
        raise ConfigError("hydra/launcher", "submitit_slurm", problem)
    there = dict.fromkeys(asked.stdout.split())
    for each in partition.split(",") if partition is not None else []:
        if each not in there:
            problem = f"the cluster has no partition {each}; it has {', '.join(there)}"
            raise ConfigError("hydra.launcher.partition", partition, problem)


def require_job(params: Mapping[str, Any]) -> None:
    """Ask the cluster whether it would take a job, which is not submitted.

    Args:
        params: the keys of `hydra.launcher`.

    Raises:
        ConfigError: it would not, such as one with GPUs where no node has any.
    """
    additional = params.get("additional_parameters") or {}
    if {"clusters", "M"} & additional.keys():
        return
    chosen = {name: params[name] for name in _OPTIONS if params.get(name) is not None}
    options = {**chosen, "time": params["timeout_min"]}
    if (memory := params.get("mem_gb")) is not None:
        chosen["mem_gb"] = memory
        options["mem"] = f"{int(memory * 1024)}M"
    # Spelt as submitit spells them in the job's own script.
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in (options | dict(additional)).items()
    ]
    asked = _ask("sbatch", "--test-only", "--output=/dev/null", *words, script="#!/bin/sh\n")
    if not asked.returncode:
        return
    lines = asked.stderr.strip().splitlines() or [f"sbatch ended with {asked.returncode}"]
    # A cluster may have remarks of its own before them.
    faults = [each for each in lines if "error: " in each or "failure: " in each] or lines
    said = faults[0].rpartition(": ")[2]
    if said == _NOT_NOW:
        _require_size(params)
        log.warning(
            "no node has what a job asks for just now, so Slurm, and jobs may wait: %s", said
        )
        return
    chosen |= {f"additional_parameters.{name}": value for name, value in additional.items()}
    chosen.pop("nodes", None)
    typed = " ".join(f"hydra.launcher.{name}={value}" for name, value in chosen.items())
    problem = f"the cluster takes no such job ({said}); it was asked for {typed}"
    raise ConfigError("hydra/launcher", "submitit_slurm", problem)


def _require_size(params: Mapping[str, Any]) -> None:
    """Refuse more cores or memory than any node has, also one that is down just now."""
    partition = params.get("partition")
    where = [] if partition is None else [f"--partition={partition}"]
    asked = _ask("sinfo", "--all", "--noheader", "--Node", "--format=%c %m", *where)
    sizes = [line.split() for line in asked.stdout.splitlines()]
    if asked.returncode or not sizes:
        return
    cores, megabytes = (max(float(size) for size in each) for each in zip(*sizes, strict=True))
    for name, most in (("cpus_per_task", cores), ("mem_gb", megabytes / 1024)):
        if (wanted := params.get(name) or 0) > most:
            problem = f"no node of the cluster has so much; the most is {most:g}"
            raise ConfigError(f"hydra.launcher.{name}", wanted, problem)


def _ask(*command: str, script: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            input=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = f"Slurm does not answer: {root_cause(error)}"
        raise ConfigError("hydra/launcher", "submitit_slurm", problem) from error
