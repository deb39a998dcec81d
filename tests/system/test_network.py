"""A network that is not there is noticed soon."""

from __future__ import annotations

import socket
import time

import pytest

from transfer.system import network as download
from transfer.system.errors import ConfigError


def _ask(url: str) -> None:
    download.require_network(url, key="data", value="cifar10", instead="use data=digits")


def test_a_refused_connection_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"data=cifar10: needs a download.*refused.*data=digits"):
        _ask("http://127.0.0.1:9/file")


def test_a_name_that_does_not_resolve_is_one_line() -> None:
    with pytest.raises(ConfigError, match="needs a download"):
        _ask("http://no-such-host.invalid/file")


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PATIENCE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(ConfigError, match="needs a download"):
            _ask(f"http://127.0.0.1:{silent.getsockname()[1]}/file")
        assert time.monotonic() - start < 5
