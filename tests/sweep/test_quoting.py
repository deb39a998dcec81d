"""Names that Hydra's grammar takes apart: the error shows what to type instead."""

from __future__ import annotations

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.conftest import Workplace
from transfer.sweep.quoting import quoted_arguments

_NAMES = [
    *("~/pictures", "/tmp/pictures (1)", "/tmp/a=b", "/tmp/a[1]", "图片"),
    *("/tmp/Bilder von Köln", "it's", 'a "b" c', "/tmp/{x}", "/tmp/a&b; c", "my(x)"),
]


@pytest.mark.parametrize("name", _NAMES)
def test_what_is_shown_is_read_as_the_name(name: str) -> None:
    shown = quoted_arguments(["model=resnet18", f"data.root={name}", "epochs=1"])
    # As a shell hands it over, and as Hydra reads it.
    [typed] = [each for line in shown for each in shlex.split(line)]
    override = OverridesParser.create().parse_override(typed)
    assert (override.key_or_group, override.value()) == ("data.root", name)


def test_a_name_that_the_shell_took_apart_is_put_together() -> None:
    arguments = ["-m", "seed=0,1", "data.root=my", "holiday", "pictures", "--cfg", "job"]
    assert quoted_arguments(arguments) == ["'data.root=\"my holiday pictures\"'"]


def test_each_name_of_a_sweep_is_quoted() -> None:
    assert quoted_arguments(["-m", "data.root=~/a,~/b"]) == ['\'data.root="~/a","~/b"\'']
    assert (
        quoted_arguments(["data.root=/tmp/my pictures", "~data.fit", "+x=1", "seed=range(3)"]) == []
    )


def test_it_is_shown_below_the_refusal(workplace: Workplace) -> None:
    refused = workplace.run("train.py", "data=image_folder", "data.root=~/Bilder (groß)")
    assert refused.returncode == 1
    line = "For a name with such characters, type 'data.root=\"~/Bilder (groß)\"'"
    assert line in refused.stderr.splitlines()
