"""A few of the cases of tests/proofs/test_config_fuzz.py."""

from __future__ import annotations

import pytest

from tests.conftest import Workplace
from tests.proofs.test_config_fuzz import ask_cases


def test_every_case_has_an_answer(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = ask_cases(workplace, monkeypatch, 16)
    assert findings.shown and findings.refused[1] and findings.refused[2]
