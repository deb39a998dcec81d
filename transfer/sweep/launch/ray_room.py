"""Whether a Ray cluster answers, and a node of it could ever run a job: Ray would wait for either
without end."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from transfer.system.errors import ConfigError, root_cause

ADDRESS = "hydra.launcher.ray.init.address"
_PREFIX = "hydra.launcher.ray.remote"
_PATIENCE_S = 5.0
_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}


def require_answer(address: str) -> None:
    """Refuse the address of a head where nothing answers.

    Args:
        address: as Ray takes it; "auto" is asked where RAY_ADDRESS says what it is.

    Raises:
        ConfigError: nothing answers there.
    """
    place = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    host, _, port = place.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        # Ray itself looks for it, or refuses it.
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        option = "ray-client-server-port" if place.startswith("ray://") else "port"
        begin = f"to begin one there: ray start --head --{option}={port}"
        problem = f"no cluster answers at {place} ({root_cause(error)}); {begin}"
        raise ConfigError(ADDRESS, address, problem) from error


def require_room(wanted: Mapping[str, Any], nodes: Sequence[Mapping[str, float]]) -> None:
    """Refuse what no node has, and what no node has together.

    Args:
        wanted: the arguments of `ray.remote`.
        nodes: what each node was started with, by Ray's names: CPU, GPU, memory (bytes), and those
            of other resources.

    Raises:
        ConfigError: no node has room for a job.
    """
    asked = {key: (name, wanted[key]) for key, name in _NAMES.items() if wanted.get(key)}
    others = wanted.get("resources") or {}
    asked |= {f"resources.{name}": (name, value) for name, value in others.items()}
    if any(all(node.get(name, 0) >= least for name, least in asked.values()) for node in nodes):
        return
    for key, (name, least) in asked.items():
        most = max((node.get(name, 0) for node in nodes), default=0)
        if least > most:
            problem = f"no node of the cluster has so many; the most is {most:g}"
            raise ConfigError(f"{_PREFIX}.{key}", least, problem)
    names = list(dict.fromkeys(name for name, _ in asked.values()))
    each = sorted({", ".join(f"{name} {node.get(name, 0):g}" for name in names) for node in nodes})
    together = ", ".join(f"{key}={least:g}" for key, (_, least) in asked.items())
    problem = f"no node of the cluster has all of it together; there are {'; '.join(each)}"
    raise ConfigError(_PREFIX, f"{{{together}}}", problem)


def require_room_here(wanted: Mapping[str, Any], init: Mapping[str, Any]) -> None:
    """Refuse what this machine has not, for a cluster of it alone, which is not yet started.

    Args:
        wanted: the arguments of `ray.remote`; memory and other resources are Ray's to count.
        init: those of `ray.init`, which may say how many cores and GPUs Ray is to count.

    Raises:
        ConfigError: it has fewer cores or GPUs than a job asks for.
    """
    cores, gpus = init.get("num_cpus"), init.get("num_gpus")
    if cores is None:
        cores = os.cpu_count() or 1
    if gpus is None and wanted.get("num_gpus"):
        # It takes seconds, which most commands do without.
        from torch import cuda

        gpus = cuda.device_count()
    counted = {name: wanted.get(name) for name in ("num_cpus", "num_gpus")}
    require_room(counted, [{"CPU": cores, "GPU": gpus or 0}])
