"""Whether a node of a Ray cluster could ever run a job: Ray would wait for such a node without
end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transfer.system.errors import ConfigError

_PREFIX = "hydra.launcher.ray.remote"
_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}


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
