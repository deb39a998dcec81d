"""What no node of a Ray cluster could ever run."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from transfer.sweep.launch.ray_room import require_answer, require_room, require_room_here
from transfer.system.errors import ConfigError

_NODES = [
    {"CPU": 8.0, "memory": 4e9, "node:10.0.0.1": 1.0},
    {"CPU": 2.0, "GPU": 1.0, "memory": 8e9, "a100": 1.0, "node:10.0.0.2": 1.0},
]


@pytest.mark.parametrize(
    "wanted",
    [
        {"num_cpus": 8, "num_gpus": 0, "resources": {}, "max_retries": 0},
        {"num_cpus": 2, "num_gpus": 0.5, "memory": 8e9, "resources": {"a100": 1}},
        {"num_cpus": 0, "resources": {"a100": 0.5}},
        {"num_cpus": 0, "num_gpus": 0},
    ],
)
def test_what_one_node_has_may_be_asked(wanted: dict[str, Any]) -> None:
    require_room(wanted, _NODES)


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"num_cpus": 9}, "remote.num_cpus=9: no node of the cluster has so many; the most is 8"),
        ({"num_gpus": 2}, "remote.num_gpus=2: no node .* the most is 1"),
        ({"resources": {"h100": 1}}, "remote.resources.h100=1: no node .* the most is 0"),
        (
            {"num_cpus": 4, "num_gpus": 1},
            "remote={num_cpus=4, num_gpus=1}: no node of the cluster has all of it together; "
            "there are CPU 2, GPU 1; CPU 8, GPU 0",
        ),
        ({"num_cpus": 4, "resources": {"a100": 1}}, "remote={num_cpus=4, resources.a100=1}: no"),
    ],
)
def test_what_no_node_has_is_one_line(wanted: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=f"^hydra.launcher.ray.{line}"):
        require_room(wanted, _NODES)


def test_a_cluster_without_nodes_has_room_for_nothing() -> None:
    with pytest.raises(ConfigError, match="num_cpus=1: no node of the cluster has so many"):
        require_room({"num_cpus": 1}, [])


def test_a_machine_without_a_gpu_is_known_before_its_cluster_is_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    require_room_here({"num_cpus": 4, "num_gpus": 0, "memory": 1e18, "resources": {"a100": 1}}, {})
    for wanted, most in (({"num_cpus": 1, "num_gpus": 0.5}, "0"), ({"num_cpus": 5}, "4")):
        with pytest.raises(ConfigError, match=f"has so many; the most is {most}$"):
            require_room_here(wanted, {"num_cpus": None})
        # Ray counts what it is told to count.
        require_room_here(wanted, {"num_cpus": 8, "num_gpus": 1})


def test_a_head_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would try for many minutes."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as head:
        there = f"127.0.0.1:{head.getsockname()[1]}"
        for address in (there, f"ray://{there}", "auto", "local", "nonsense"):
            require_answer(address)
    words = rf"no cluster answers at {there} \(Connection refused\); .*: ray start --head --port="
    for address in (there, "auto"):
        monkeypatch.setenv("RAY_ADDRESS", there)
        with pytest.raises(ConfigError, match=rf"ray\.init\.address={address}: {words}"):
            require_answer(address)
