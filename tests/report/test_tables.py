"""The rows as other programs read them."""

from __future__ import annotations

import pytest

from tests.compare.runs import RUNS, make_rows
from transfer.compare.comparison import Comparison
from transfer.report.tables import rows_frame


def test_a_row_a_configuration_with_mean_deviation_and_interval() -> None:
    rows = make_rows(RUNS)
    frame = rows_frame([Comparison(rows)]).set_index("model")
    assert frame["seeds"].to_dict() == {"b": 1, "a": 2}
    assert frame.loc["a", "test/acc"] == pytest.approx(0.55)
    assert frame.loc["a", "test/acc_std"] == pytest.approx(0.0707, abs=1e-4)
    assert frame.loc["a", "test/acc_low"] == 0
    # One seed has no deviation.
    assert frame["test/acc_std"].isna()["b"]
    # Without predictions, one seed has no interval.
    assert frame["interval_of"].dropna().to_dict() == {"a": "seeds"}
    assert frame["rank"].to_dict() == {"b": 1, "a": 1}
    assert frame.loc["a", "behind_best"] == pytest.approx(0.4)
    assert frame["profile/macs_front"].to_dict() == {"b": True, "a": True}
