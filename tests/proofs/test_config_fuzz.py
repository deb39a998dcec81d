"""Whatever is typed or written into a file: an answer, and neither a traceback nor a hang.

Most cases run train.py in this process, which is Hydra's whole path with `SweepCallback`: compose,
check, read the data and weights, try the model on paper. Either it shows what it would train
(`preview=true`), or it refuses in the words that a person gets; what it refuses is then asked for
in earnest, to see that no run comes of it. Some dozens are typed as commands.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import runpy
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.conftest import PLAIN, ROOT, Workplace, config_of
from transfer.config import flatten
from transfer.sweep.endings import FULL_ERROR

CASES = int(os.environ.get("PROOF_CASES", "2000"))
COMMANDS = int(os.environ.get("PROOF_COMMANDS", "36"))
SEED = int(os.environ.get("PROOF_SEED", "20261125"))
LONGEST_S = 10.0

# What needs a network is left out; that has its own proof.
GROUPS = {
    "model": ["resnet18", "mobilenet_v3_small", "simple_cnn", "torchvision", "resnet19", "", "7"],
    "data": ["digits", "image_folder", "imagenet", "../data/digits", "null"],
    "augment": ["none", "photo", "trivial", "cutout"],
    "optimizer": ["adam", "adamw", "sgd", "rmsprop", "[adam]"],
    "schedule": ["plateau", "one_cycle", "cosine", "constant", "step"],
    "experiment": ["fast", "nothing", "null"],
    "hydra/launcher": ["basic", "joblib", "slurm"],
}
DEFAULTS = {
    **flatten(config_of("schedule=plateau", "data=image_folder", "data.root=x")),
    **flatten(config_of("optimizer=sgd", "schedule=one_cycle")),
    **flatten(config_of()),
}
# What decides whether anything is trained stays as the proof sets it.
KEYS = sorted(DEFAULTS.keys() - {"preview", "resume", "tracking.uri"})
ODD_KEYS = ["freeze_epoch", "data", "model", "augment", "hydra.launcher.n_jobs", "a.b.c", ""]
ODD_VALUES = [
    *("nan", "inf", "-inf", "1e400", "-1", "0", "1", "2", "0.5", "1e-9", "2147483648", "9" * 40),
    *("null", "true", "[]", "{}", "[1,2,3]", "[0.5]", "{a:1}", "[a,b]", "???", "''", "' '"),
    *("${seed}", "${nothing}", "${epochs}", "${oc.env:HOME}", "${oc.env:NOTHING_HERE}", "${"),
    *("1,2", "a,b", "range(3)", "choice(1,2)", "interval(0,1)", "glob(*)", "range(0)", "sort(2,1)"),
    *("simple_cnn", "vit_b_16", "inception_v3", "none", "starter", "cpu", "cuda:7", "mps", "test"),
    *("runs:/latest", "runs:/0", "runs:/", "/nowhere", ".", "/dev/null", "~", "a/b", "\\"),
]
text = st.text(max_size=12).filter(lambda drawn: "\0" not in drawn)
odd_values = st.one_of(
    st.sampled_from(ODD_VALUES), st.integers(-(2**40), 2**40).map(str), st.floats().map(str), text
)


def _likely(key: str) -> st.SearchStrategy[str]:
    """Values of the key's own kind, and sweeps over two of them."""
    default = DEFAULTS[key]
    if isinstance(default, bool):
        kind = st.sampled_from(["true", "false"])
    elif isinstance(default, int):
        kind = st.integers(0, 70).map(str)
    elif isinstance(default, float):
        kind = st.floats(0, 1).map(str)
    else:
        kind = st.just("null" if default is None else str(default).replace(" ", ""))
    return st.one_of(kind, kind, st.lists(kind, min_size=2, max_size=2).map(",".join))


def _weighted(*choices: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    return st.sampled_from([each for count, each in choices for _ in range(count)]).flatmap(
        lambda chosen: chosen
    )


likely = st.sampled_from(sorted(flatten(config_of()).keys() & set(KEYS))).flatmap(
    lambda key: st.builds(lambda value: f"{key}={value}", _likely(key))
)
odd = st.builds(
    lambda sign, key, value: f"{sign}{key}={value}",
    st.sampled_from(["", "", "", "", "", "+", "++", "~"]),
    st.sampled_from([*KEYS, *KEYS, *ODD_KEYS]),
    odd_values,
)
groups = st.sampled_from(
    [f"{group}={choice}" for group, choices in GROUPS.items() for choice in choices]
)
junk = text.filter(lambda drawn: drawn != "" and drawn[0] != "-")
override = _weighted((12, likely), (4, odd), (2, groups), (1, junk))

leaves = _weighted(
    (2, st.integers(0, 70)),
    (2, st.floats(0, 1)),
    (1, st.sampled_from(ODD_VALUES)),
    (1, st.one_of(st.none(), st.booleans(), st.floats(), text, st.lists(st.floats(0, 1)))),
)
trees = st.dictionaries(
    st.sampled_from([*KEYS, *KEYS, *ODD_KEYS]), leaves, min_size=1, max_size=3
).map(lambda tree: yaml.safe_dump(_nested(tree), allow_unicode=True))
files = _weighted(
    (6, trees),
    (2, trees.map(lambda tree: f"defaults:\n  - override /optimizer: sgd\n{tree}")),
    (1, st.text(max_size=60)),
    (
        1,
        st.sampled_from(["[1, 2]", "a: b: c", "\t", "- x", "seed: !!python/name:os.system", "*a"]),
    ),
)


@dataclass(frozen=True)
class Case:
    """A command: what is typed, and the experiment's file that it names, if it does."""

    overrides: list[str]
    multirun: bool
    file: str | None

    def arguments(self, folder: Path, number: int) -> list[str]:
        arguments = ["-m"] * self.multirun
        # Small, unless the case says otherwise.
        small = [*PLAIN, "data.train_per_class=5", "freeze_epochs=1"]
        if self.file is not None:
            place = folder / f"conf{number}" / "experiment"
            place.mkdir(parents=True, exist_ok=True)
            text = f"# @package _global_\n{self.file}"
            (place / "fuzz.yaml").write_text(text, encoding="utf-8", errors="replace")
            arguments += ["--config-dir", str(place.parent)]
            small.append("experiment=fuzz")
        return arguments + small + self.overrides


cases = st.builds(
    Case,
    st.lists(override, min_size=1, max_size=3),
    st.booleans(),
    _weighted((2, st.none()), (1, files)),
)


@dataclass
class Findings:
    shown: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    problems: list[str] = field(default_factory=list)


def test_every_case_has_an_answer(
    new_workplace: Callable[[], Workplace], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = ask_cases(new_workplace(), monkeypatch, CASES)
    # Both happen often, or the cases say nothing.
    assert min(findings.shown, findings.refused[1], findings.refused[2]) > 0.05 * CASES


def ask_cases(place: Workplace, monkeypatch: pytest.MonkeyPatch, count: int) -> Findings:
    """Draw so many cases, and require an answer to each."""
    findings = Findings()
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.store)
    monkeypatch.setattr(sys, "argv", sys.argv)

    @seed(SEED)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def check(case: Case) -> None:
        number = findings.shown + findings.refused.total()
        arguments = case.arguments(place.folder, number)
        code = _answer([*arguments, "preview=true"], findings)
        if code == 0:
            findings.shown += 1
            return
        findings.refused[code] += 1
        # Asked for in earnest it must be refused as well.
        if _answer(arguments, findings) == 0:
            findings.problems.append(f"{arguments}: trained, and the preview refused it")

    # Importing the libraries is no part of an answer.
    _answer([*PLAIN, "preview=true"], Findings())
    check()
    told = ", ".join(f"{times} with code {code}" for code, times in findings.refused.items())
    print(
        f"\n{findings.shown + findings.refused.total()} cases from seed {SEED}: {findings.shown} "
        f"shown, {told} refused; the slowest answer took {findings.slowest:.1f} s"
    )
    print("\n".join(findings.problems))
    assert not findings.problems
    assert place.runs() == []
    return findings


def _answer(arguments: list[str], findings: Findings) -> int:
    """What `python train.py ARGUMENTS` exits with, in this process."""
    errors, start = io.StringIO(), time.perf_counter()
    sys.argv = [str(ROOT / "train.py"), *arguments]
    code: Any = 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as exit_:
            code = exit_.code or 0
        except BaseException as error:
            errors.write(f"Traceback of {type(error).__name__}: {error}")
            code = -1
        finally:
            # As a new process has it, and as pytest had it.
            GlobalHydra.instance().clear()
            os.environ.pop(FULL_ERROR, None)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
    seconds = time.perf_counter() - start
    findings.slowest = max(findings.slowest, seconds)
    _judge(arguments, code, errors.getvalue(), findings)
    if seconds > LONGEST_S:
        findings.problems.append(f"{arguments}: {seconds:.1f} s")
    return code


def _judge(arguments: list[str], code: int, errors: str, findings: Findings) -> None:
    problems = []
    if code not in (0, 1, 2):
        problems.append(f"exit code {code}")
    if "Traceback" in errors:
        problems.append("traceback")
    if code == 2 and "usage: " not in errors and len(errors.strip().splitlines()) != 1:
        problems.append("not one line")
    if code and not errors.strip():
        problems.append("refused without a word")
    if problems:
        findings.problems.append(f"{arguments}: {', '.join(problems)}\n{errors[-1500:]}")


def test_some_dozens_as_commands(new_workplace: Callable[[], Workplace]) -> None:
    """What is refused leaves nothing; what is not is trained for one epoch and ends FINISHED."""
    place, findings = new_workplace(), Findings()
    drawn: list[Case] = []

    @seed(SEED + 1)
    @settings(
        max_examples=COMMANDS,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    moments = random.Random(SEED)
    for number, case in enumerate(drawn):
        arguments = case.arguments(place.folder, number)
        # Half of them show only; the others are typed in earnest, and small.
        arguments += ["preview=true"] if moments.random() < 0.5 else ["epochs=1", "freeze_epochs=0"]
        process = place.run("train.py", *arguments)
        code = process.returncode
        if code == 0:
            findings.shown += 1
        else:
            findings.refused[code] += 1
        _judge(arguments, code, process.stderr, findings)
    told = ", ".join(f"{count} with code {code}" for code, count in findings.refused.items())
    print(f"\n{len(drawn)} commands: {findings.shown} shown or trained, {told} refused")
    print("\n".join(findings.problems))
    assert not findings.problems
    assert {run.info.status for run in place.runs()} <= {"FINISHED"}


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        node = tree
        *parents, last = key.split(".")
        for parent in parents:
            inner = node.setdefault(parent, {})
            if not isinstance(inner, dict):
                inner = node[parent] = {}
            node = inner
        node[last] = value
    return tree
