"""conf/ is where people look: its comments and values say what the schema declares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, config_of
from transfer.config.key import Key, leaves
from transfer.config.schema import GROUPS, KEYS, Config

CONF = ROOT / "conf"
FILES = [CONF / "config.yaml"]
FILES += [CONF / group / f"{name}.yaml" for group, choices in GROUPS.items() for name in choices]
# Each data set's own; none of it is what names leave out.
_OF_THE_SET = ("augment.",)


def _documented(path: Path) -> Iterator[tuple[str, str, str]]:
    """Every leaf of a file: its dotted key, its value, and its comment with the lines below it
    that go on."""
    parents: list[tuple[int, str]] = []
    group = () if path.parent == CONF else (path.parent.name,)
    found: list[tuple[str, str, str]] = []
    for line in path.read_text().splitlines():
        if line.startswith("hydra:"):
            break
        if more := re.fullmatch(r"\s{10,}#(.*)", line):
            name, value, comment = found[-1]
            found[-1] = (name, value, comment + more[1])
        elif leaf := re.fullmatch(r"(\s*)(\w+):\s*([^#]*?)\s*(?:#(.*))?", line):
            indent, name, value, comment = len(leaf[1]), leaf[2], leaf[3], leaf[4] or ""
            parents = [each for each in parents if each[0] < indent]
            if value:
                found.append(
                    (".".join([*group, *(each for _, each in parents), name]), value, comment)
                )
            parents.append((indent, name))
    yield from (each for each in found if not each[0].endswith("defaults"))


def _declared(path: Path) -> dict[str, Key]:
    """Every key that the file's part of the schema has."""
    if path.parent == CONF:
        return {name: key for name, key, _ in leaves(Config())}
    group = path.parent.name
    return {name: key for name, key, _ in leaves(GROUPS[group][path.stem](), f"{group}.")}


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CONF)) for path in FILES])
def test_comments_tell_what_the_schema_declares(path: Path) -> None:
    declared = _declared(path)
    for name, _, comment in _documented(path):
        key = declared[name]
        if name.endswith(".name"):
            continue
        assert comment.strip(), f"{name} says nothing"
        words = re.findall(r"[\w.-]+", comment.replace(",", ""))
        for choice in key.choices:
            assert choice in words, f"{name}: {choice}"
        for bound in (key.low, key.high, key.above, key.below, key.off):
            if bound is not None:
                assert f"{bound:.10g}" in [word.rstrip(".") for word in words], f"{name}: {bound}"
        for word, bound in (("above", key.above), ("below", key.below)):
            assert bound is None or f"{word} {bound}" in comment, f"{name}: {word} {bound}"
        assert key.unit in comment, f"{name}: {key.unit}"


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CONF)) for path in FILES])
def test_every_key_stands_in_its_file(path: Path) -> None:
    documented = {name for name, _, _ in _documented(path)}
    missing = _declared(path).keys() - documented
    # A data set has no key for what it does not use; an augmentation leaves out what it leaves off.
    partial = ("data.",) if path.stem == "none" else ("data.", "augment.")
    assert all(name.startswith(partial) for name in missing), missing


def test_what_files_say_is_the_default() -> None:
    """Names leave defaults out, so that a default must be what a job gets without a choice."""
    own = ("image_folder", "shards")
    for group, choices in GROUPS.items():
        for choice in choices:
            config = config_of(f"{group}={choice}", *["data.root=data"] * (choice in own))
            for name, key, value in leaves(config):
                chosen = name.endswith(".name") or name.startswith(_OF_THE_SET)
                if not chosen and not (choice in own and name == "data.root"):
                    assert value == key.default, f"{group}={choice}: {name}"


def test_what_is_declared_of_a_key_is_the_same_in_every_class() -> None:
    """Apart from the default."""
    of_classes: dict[str, list[Any]] = {}
    for group, choices in GROUPS.items():
        for cls in choices.values():
            for name, key, _ in leaves(cls(), f"{group}."):
                if not name.endswith(".name"):
                    of_classes.setdefault(name, []).append({**vars(key), "default": None})
    for name, declarations in of_classes.items():
        assert all(each == declarations[0] for each in declarations), name
        assert {**vars(KEYS[name]), "default": None} == declarations[0]
