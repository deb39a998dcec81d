"""README.md, docs/ and conf/: their commands can be typed, their links lead somewhere."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from tests.conftest import ROOT, config_of
from transfer.config import flatten, refuse_unused

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SPEED = ROOT / "experiments/results/speed.md"

# What README.md was when all of it was one page, halved.
README_MOST_BYTES = 14_894 // 2

_BLOCK = re.compile(r"(?:^    \S.*\n(?:(?:    .*)?\n)*)+", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```\n", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)")
# key=value, or a key alone that has a group before it.
_KEY = re.compile(
    r"(?:^| )([a-z][a-z_.]*)(?==)|"
    r"^((?:data|augment|optimizer|schedule|protocol|tracking)\.[a-z_.]+)$"
)
_NAMED_FILE = re.compile(r"\b(?:transfer|conf|experiments|tests|docs)/[\w/]+\.(?:py|md|yaml)\b")
_PROGRAMS = ("python", "make", "mlflow", "pip", "source", "apt")


@dataclass(frozen=True)
class Command:
    """One command of a file; where several have it, of the first."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """As a shell splits it, without what it sets in the environment."""
        words = shlex.split(self.text, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        return words

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def _commands() -> list[Command]:
    lines = [(page, line) for page in (*PAGES, SPEED) for line in _lines_of_page(page)]
    for path in (ROOT / "train.py", *sorted(ROOT.glob("conf/**/*.yaml"))):
        text = path.read_text(encoding="utf-8")
        lines += [(path, line) for line in re.findall(r"^#?   +(python .*)", text, re.MULTILINE)]
    found: dict[str, Command] = {}
    for path, line in lines:
        # An ellipsis stands for what a reader puts there.
        if line.strip() and "…" not in line:
            command = Command(path.name, " ".join(line.split()))
            found.setdefault(command.text, command)
    return list(found.values())


def _lines_of_page(page: Path) -> list[str]:
    """What stands in indented blocks, and what in a sentence begins like a command."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    indented = "".join(_BLOCK.findall(text)).replace("\\\n", " ")
    inline = [span for span in _INLINE.findall(text) if span.split()[0] in _PROGRAMS]
    return [*indented.splitlines(), *inline]


COMMANDS = _commands()


def _of(*start: str) -> list[Command]:
    return [each for each in COMMANDS if each.words[: len(start)] == list(start)]


TRAININGS = [each for each in _of("python", "train.py") if "--help" not in each.words]
SCRIPTS = [
    each for each in _of("python") if "experiments/" in each.text and "--help" not in each.words
]


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    assert len(TRAININGS) > 30 and len(SCRIPTS) > 10
    helps = [each for each in COMMANDS if each.words[1:] == ["train.py", "--help"]]
    known = {*TRAININGS, *SCRIPTS, *helps, *_of("make"), *_of("mlflow"), *_of("pip", "install")}
    known |= {*_of("source", ".venv/bin/activate"), *_of("apt", "install"), *_of("ray", "start")}
    # What the keeper of a server or the user of a cluster types: see tests/proofs/.
    administration = ("sudo", "export", "pg_dump", "pg_restore", "cp", "sbatch")
    known |= {each for program in administration for each in _of(program)}
    assert [str(each) for each in COMMANDS if each not in known] == []


@pytest.mark.parametrize("command", TRAININGS, ids=str)
def test_a_training_can_be_composed(command: Command) -> None:
    arguments = command.words[2:]
    multirun = "-m" in arguments
    jobs = []
    for overrides in _jobs([each for each in arguments if each != "-m"], multirun=multirun):
        own = [each for each in overrides if not each.startswith("hydra")]
        jobs.append((config_of(*overrides), own))
    refuse_unused(jobs)


def _jobs(arguments: list[str], *, multirun: bool) -> Iterator[list[str]]:
    """Overrides of jobs in which every value of every swept key, of ranges the ends, comes up."""
    parsed = OverridesParser.create().parse_overrides(arguments)
    values = [_values(each) if multirun else [str(each.input_line)] for each in parsed]
    for number in range(max(map(len, values), default=1)):
        yield [each[min(number, len(each) - 1)] for each in values]


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if override.is_discrete_sweep():
        values = [f"{key}={value}" for value in override.sweep_string_iterator()]
        return [values[0], values[-1]] if override.is_range_sweep() else values
    if override.is_interval_sweep():
        interval: Any = override.value()
        return [f"{key}={interval.start}", f"{key}={interval.end}"]
    return [str(override.input_line)]


@pytest.mark.parametrize("command", SCRIPTS, ids=str)
def test_a_script_knows_its_arguments(command: Command) -> None:
    script, *arguments = command.words[1:]
    module = _module(script)
    options = OmegaConf.structured(module.Options)
    rest = []
    for argument in _without_dashes(arguments):
        key, equals, value = argument.partition("=")
        if equals and key in _keys(module):
            setattr(options, key, value)
        else:
            rest.append(argument)
    if script.endswith("predict.py"):
        assert rest and not any("=" in picture for picture in rest)
    elif script.endswith("benchmark.py"):
        [overrides] = _jobs(rest, multirun=False)
        config_of(*overrides)
    elif script.endswith("screen.py"):
        for overrides in _jobs([each for each in rest if each != "model=all"], multirun=True):
            config_of(*overrides)
    else:
        assert rest == []


def _without_dashes(arguments: list[str]) -> Iterator[str]:
    """``--key value`` as ``key=value``."""
    words = iter(arguments)
    for word in words:
        yield f"{word[2:]}={next(words)}" if word.startswith("--") else word


def _module(script: str) -> Any:
    assert (ROOT / script).is_file()
    return importlib.import_module(script.removesuffix(".py").replace("/", "."))


def _keys(module: Any) -> set[str]:
    assert is_dataclass(module.Options)
    return {field.name for field in fields(module.Options)}


@pytest.mark.parametrize("command", _of("make"), ids=str)
def test_a_target_of_make_exists(command: Command) -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(command.words[1:]) <= set(targets)


@pytest.mark.parametrize("command", _of("mlflow"), ids=str)
def test_mlflow_knows_the_command(command: Command) -> None:
    from mlflow.cli import cli

    subcommand: click.Command | None = cli
    words = iter(command.words[1:])
    # Of groups, as in `mlflow models serve`.
    while isinstance(subcommand, click.Group):
        subcommand = subcommand.get_command(click.Context(subcommand), next(words))
    assert subcommand is not None
    known = {name for parameter in subcommand.params for name in parameter.opts}
    assert {each.partition("=")[0] for each in words if each.startswith("-")} <= known


def test_what_pip_installs_is_this_project_or_a_package_that_it_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    named = {re.split("[<>=]", each)[0] for group in groups for each in group}
    named |= {"--constraint", "constraints.txt"}
    for command in _of("pip", "install"):
        own = command.words[2:] in (["--editable", "."], ["--editable", ".[lite]"])
        assert own or set(command.words[2:]) <= named


def test_every_key_that_a_page_names_exists() -> None:
    # What a run keeps of its images is a parameter of the run, and no key.
    known = {"experiment", "data.skipped_images"}
    known |= {path.stem for path in (ROOT / "conf").iterdir()}
    for group in ("data", "optimizer", "schedule"):
        for choice in (ROOT / "conf" / group).glob("*.yaml"):
            overrides = [f"{group}={choice.stem}", "data.root=somewhere"]
            known |= {*flatten(config_of(*overrides))}
    for script in (ROOT / "experiments").glob("*.py"):
        if "class Options" in script.read_text():
            known |= _keys(_module(f"experiments/{script.name}"))
    unknown = [
        f"{page.name}: `{span}`"
        for page in PAGES
        for span in _INLINE.findall(page.read_text(encoding="utf-8"))
        for key in ("".join(groups) for groups in _KEY.findall(span))
        if key not in known and not key.startswith("hydra.")
    ]
    assert unknown == []


@pytest.mark.parametrize("page", [*PAGES, SPEED], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in _anchors(path), f"{page.name}: {target}"


def _anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub makes anchors of them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, SPEED], ids=lambda path: path.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    text, files = page.read_text(), list((ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"[\w/]*test_\w+\.py", text):
        assert any(path.as_posix().endswith(f"/{name.strip('/')}") for path in files), name
    defined = re.findall(r"^def (test_\w+)", "".join(path.read_text() for path in files), re.M)
    assert set(re.findall(r"`(test_\w+)`", text)) <= set(defined)


def test_every_file_that_is_named_exists() -> None:
    """In pages, and in the comments of configuration and code."""
    paths = [*PAGES, SPEED, ROOT / "Makefile", *ROOT.glob("conf/**/*.yaml")]
    for room in ("transfer", "experiments", "tests"):
        paths += ROOT.glob(f"{room}/**/*.py")
    named = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in _NAMED_FILE.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).is_file()
    }
    assert len(paths) > 200 and named == set()


def test_every_page_can_be_reached_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {target.partition("#")[0] for target in _LINK.findall(text)}
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= linked


def test_the_readme_stays_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= README_MOST_BYTES


def test_the_readme_shows_the_rooms_as_they_are() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [tree] = _FENCE.findall(text)
    shown = re.findall(r"^  ([a-z_]+(?:/|\.py)) ", tree, re.MULTILINE)
    rooms = {f"{path.parent.name}/" for path in (ROOT / "transfer").glob("*/__init__.py")}
    modules = {path.name for path in (ROOT / "transfer").glob("*.py")} - {"__init__.py"}
    assert {*shown} == rooms | modules and len(shown) == len({*shown})
