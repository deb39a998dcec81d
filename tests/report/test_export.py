"""The rows as other programs read them."""

from __future__ import annotations

import pytest

from tests.report.test_table import HISTORIES, RUNS
from transfer.report.export import rows_frame
from transfer.report.table import build_rows


def test_a_row_a_configuration_with_mean_and_deviation() -> None:
    frame = rows_frame(build_rows(RUNS, HISTORIES)).set_index("model")
    assert frame["seeds"].to_dict() == {"b": 1, "a": 2}
    assert frame.loc["a", "test/acc"] == pytest.approx(0.55)
    assert frame.loc["a", "test/acc_std"] == pytest.approx(0.0707, abs=1e-4)
    # One seed has no deviation.
    assert frame["test/acc_std"].isna()["b"]
