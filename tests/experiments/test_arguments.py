"""Command lines: values arrive as they were typed, and what is wrong is one line."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, fields
from importlib import import_module

import pytest

from experiments.arguments import option, parse
from tests.conftest import ROOT
from transfer.system.errors import ConfigError

SCRIPTS = (ROOT / "experiments").glob("*.py")
COMMANDS = sorted(path.stem for path in SCRIPTS if "run(main, Options" in path.read_text())


@dataclass
class _Options:
    run: str = option("latest", "a run")
    where: str = option("", "a condition")
    top: int = option(3, "how many")
    patience_s: float = option(60.0, "seconds")
    out: str | None = option(None, "a folder")


@dataclass
class _WithImages:
    images: list[str]
    top: int = option(3, "how many")


@pytest.mark.parametrize("form", ["{}={}", "--{}={}", "--{} {}"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run", "0123"),
        ("run", "1e5"),
        ("run", "null"),
        ("where", "data=digits and epochs>=40"),
        ("out", "a=b/c ${x} [1, 2] {y}"),
        ("out", "图片/'\" %s"),
    ],
)
def test_a_value_is_never_mangled(form: str, key: str, value: str) -> None:
    arguments = form.replace("{} {}", "{}\n{}").format(key, value).split("\n")
    assert getattr(parse(arguments, _Options, ""), key) == value


def test_numbers_are_numbers_and_the_rest_keeps_its_default() -> None:
    options = parse(["top=5", "patience_s=0.5", "where="], _Options, "")
    assert options == _Options("latest", "", 5, 0.5, None)


def test_what_is_no_key_is_handed_on_in_its_order() -> None:
    arguments = ["-x.png", "top=1", "a=b.png", "--tope=2", "+data.root=x", "-", "two words", "-1"]
    options = parse(arguments, _WithImages, "")
    assert options.top == 1
    assert options.images == [each for each in arguments if each != "top=1"]


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("top=x", "top=x: invalid int value: 'x'"),
        ("patience_s=", "patience_s=: invalid float value: ''"),
        ("tops=1", "tops=1: unknown argument; the keys are run, where, top, patience_s, out"),
        ("--tops", "--tops=: unknown argument; the keys are run, where, top, patience_s, out"),
        ("--top", "top=: expected one argument"),
    ],
)
def test_what_is_wrong_is_one_line(argument: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse([argument], _Options, "")
    assert str(caught.value) == line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_of_every_command_has_its_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = import_module(f"experiments.{command}")
    with pytest.raises(SystemExit) as left:
        parse(["--help"], module.Options, module.__doc__)
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(module.__doc__.strip())
    for field in fields(module.Options):
        assert "help" not in field.metadata or f"  {field.name}=" in shown


def test_a_command_answers_help_and_ends_a_wrong_one_with_code_2() -> None:
    script = [sys.executable, str(ROOT / "experiments/report.py")]
    asked = subprocess.run([*script, "-h"], capture_output=True, text=True, check=True)
    assert "sweep=latest" in asked.stdout and not asked.stderr
    wrong = subprocess.run([*script, "lang"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("lang=: unknown argument") and wrong.stderr.count("\n") == 1
