"""What the tar files of a data set hold, by their headers: pictures with their labels.

WebDataset's convention: members that follow each other and share the name up to the first dot of
its last part are one sample, `000123.jpg` with `000123.cls` or `000123.json`. A label is the text
of the `.cls`, else the field `label` of the `.json`, a number or a name. Other members are passed
over, whatever they are: nothing is extracted, and nothing but these two and pictures is read.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NoReturn

from transfer.data.class_folders import is_image, refuse, some
from transfer.data.other_kinds import kind_by_suffix
from transfer.system.errors import first_line, printable

# The members that say what a picture shows, the first before the other.
_LABELS = ("cls", "json")
_MOST_CLS_BYTES = 1000
_MOST_JSON_BYTES = 10**7
# A name; Python reads no number of more than 4,300 digits.
_MOST_CHARACTERS = 200
_BLOCK = 512
_PIECE = 2**20


@dataclass
class Samples:
    """Pictures in the order in which they lie in the shards, in few bytes each.

    Attributes:
        shard: the number of each one's shard.
        offsets, sizes: where in it the picture begins, and its bytes.
        label: of each one, the number of its word.
        words: what labels are called in the shards; numbers without zeros before them.
        left_out: how many members of which suffix are no part of a sample, by their names, or no
            files. What else a sample has is not counted.
    """

    shard: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    label: array[int] = field(default_factory=lambda: array("q"))
    words: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    _names: bytearray = field(default_factory=bytearray)
    _ends: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.label)

    def name(self, index: int) -> str:
        """What the picture is called in its shard."""
        start = self._ends[index - 1] if index else 0
        return self._names[start : self._ends[index]].decode()


@dataclass
class _Sample:
    """By suffix, the name of each member, its offset and its size."""

    key: str
    members: dict[str, tuple[str, int, int]] = field(default_factory=dict)


def list_samples(shards: Sequence[Path]) -> Samples:
    """Go through the headers of all shards.

    Raises:
        ConfigError: a shard is no tar file, cut off or empty; or a sample of it is there twice, or
            lacks its picture or its label. Names the shard, and the sample.
    """
    found = Samples()
    numbers: dict[str, int] = {}
    for number, path in enumerate(shards):
        before = len(found)
        for (name, offset, size), label in _samples_in(path, found.left_out):
            found.shard.append(number)
            found.offsets.append(offset)
            found.sizes.append(size)
            found.label.append(numbers.setdefault(label, len(numbers)))
            found._names += printable(name).encode()
            found._ends.append(len(found._names))
        if len(found) == before:
            refuse(path, "holds no sample, such as 000123.jpg with 000123.cls; remove it")
    found.words = list(numbers)
    return found


def _samples_in(path: Path, left_out: Counter[str]) -> Iterator[tuple[tuple[str, int, int], str]]:
    """The name, offset and size of each sample's picture, and its label."""
    with _explained(path) as file:
        for sample in _grouped(path, file, left_out):
            yield _picture_of(path, sample), _label_of(path, file, sample)


def _grouped(path: Path, file: BinaryIO, left_out: Counter[str]) -> Iterator[_Sample]:
    sample: _Sample | None = None
    seen = set()
    for member in _members(path, file):
        key, suffix = _split_name(member.name)
        if other := _no_plain_file(member):
            if key is not None and (suffix in _LABELS or is_image(Path(f"_.{suffix}"))):
                refuse(path, f"holds {member.name} as {other}")
            left_out[suffix if key is None else f".{suffix}"] += 1
            continue
        if key is None:
            left_out[suffix] += 1
            continue
        if sample is None or key != sample.key:
            if sample is not None:
                yield sample
            if key in seen:
                apart = "and other samples between; the members of one must follow each other"
                refuse(path, f"holds sample {key} twice, {apart}")
            seen.add(key)
            sample = _Sample(key)
        if suffix in sample.members:
            refuse(path, f"holds {member.name} twice")
        sample.members[suffix] = (member.name, member.offset_data, member.size)
    if sample is not None:
        yield sample


def _picture_of(path: Path, sample: _Sample) -> tuple[str, int, int]:
    # What b.seg.png shows is no picture of the sample but, say, a mask.
    pictures = [
        member
        for suffix, member in sample.members.items()
        if "." not in suffix and is_image(Path(f"_.{suffix}"))
    ]
    if not pictures:
        members = some(sorted(f".{suffix}" for suffix in sample.members))
        problem = f"sample {sample.key} has no picture that is read, but {members}"
        if any("." in suffix for suffix in sample.members):
            problem += "; what precedes the first dot is the sample's name: write none within it"
        for suffix in sample.members:
            if kind := kind_by_suffix(f".{suffix}"):
                problem += f"; that is {kind.name}: {kind.would_do}"
        refuse(path, problem)
    if len(pictures) > 1:
        both = " and ".join(name for name, _, _ in pictures[:2])
        refuse(path, f"sample {sample.key} has two pictures, {both}; leave one")
    return pictures[0]


def _label_of(path: Path, file: BinaryIO, sample: _Sample) -> str:
    suffix = next((each for each in _LABELS if each in sample.members), "json")
    label, fields = "", ""
    if suffix in sample.members:
        name, offset, size = sample.members[suffix]
        most = _MOST_CLS_BYTES if suffix == "cls" else _MOST_JSON_BYTES
        if size > most:
            refuse(path, f"{name} has {size:,} bytes, too many for a label")
        file.seek(offset)
        content = file.read(size)
        try:
            if suffix == "cls":
                label = content.decode().strip()
            else:
                label, fields = _json_label(content)
        except (ValueError, RecursionError) as error:
            refuse(path, f"{name} cannot be read ({first_line(error)})", error)
    if not label:
        needed = "a .cls with a number or a name, or a .json with the field label"
        has = some(sorted(f".{each}" for each in sample.members))
        refuse(path, f"sample {sample.key} has no label; it needs {needed}, and has {has}{fields}")
    if printable(label) != label:
        problem = f"the label of sample {sample.key} must be one line without control characters"
        refuse(path, problem)
    if len(label) > _MOST_CHARACTERS:
        problem = f"the label of sample {sample.key} has {len(label):,} characters"
        refuse(path, f"{problem}, and may have {_MOST_CHARACTERS}")
    if re.fullmatch("-[0-9]+", label):
        refuse(path, f"the label of sample {sample.key} is {label}; numbers count from 0")
    return str(int(label)) if re.fullmatch("[0-9]+", label) else label


def _json_label(content: bytes) -> tuple[str, str]:
    """The label, or nothing and what there is in its place."""
    read = json.loads(content)
    if not isinstance(read, dict):
        return "", "; the .json holds no fields"
    label = read.get("label")
    if label is None:
        return "", f"; the fields of the .json: {printable(some([*read]) or 'none')}"
    if isinstance(label, bool) or not isinstance(label, int | str):
        raise ValueError("its label is neither a whole number nor a name")
    return str(label).strip(), ""


def _split_name(name: str) -> tuple[str | None, str]:
    """The key and the suffix of a member, in lower case; None for what is in no sample."""
    if re.fullmatch("__.*__", name):
        return None, name
    found = re.fullmatch(r"((?:.*/)?[^./][^./]*)\.([^/]*)", name, re.DOTALL)
    if found is None:
        return None, PurePosixPath(name).suffix.lower() or "without suffix"
    return found[1], found[2].lower()


def _members(path: Path, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """What a shard holds that is no folder; its headers are whole to its end."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as tar:
        before = 0
        while (member := tar.next()) is not None:
            # It would keep them all.
            tar.members.clear()  # type: ignore[attr-defined]
            end = tar.offset
            if member.size < 0 or end <= before:
                _refuse_damaged(path, before)
            if end > length:
                raise tarfile.ReadError("unexpected end of data")
            before = end
            if not member.isdir():
                yield member
        end = tar.offset
    # A damaged header looks to tarfile like the end.
    file.seek(end)
    mark = file.read(_BLOCK)
    if not mark:
        refuse(path, "is cut off: it lacks the end mark of a tar file; write it again")
    if any(mark) or len(mark) < _BLOCK:
        _refuse_damaged(path, end)
    while piece := file.read(_PIECE):
        if any(piece):
            refuse(path, "goes on after its end, as joined tar files do; give them one by one")


def _no_plain_file(member: tarfile.TarInfo) -> str | None:
    """What a member is whose bytes do not lie behind its name, and what would do."""
    if member.islnk():
        return "a link to another member; write its content, as tar --hard-dereference does"
    if member.issym():
        return "a link to another file; write its content, as tar --dereference does"
    if member.issparse():
        return "a sparse file; write it as a whole, without tar --sparse"
    return None if member.isreg() else "no file; remove it"


@contextmanager
def _explained(path: Path) -> Iterator[BinaryIO]:
    """A shard opened; what goes wrong with it as one line."""
    try:
        with path.open("rb") as file:
            yield file
    except tarfile.TarError as error:
        refuse(path, f"is no whole tar file ({first_line(error)}); write it again", error)
    # What a damaged header makes of tarfile: sizes beyond the memory, texts that are no numbers.
    except (MemoryError, ArithmeticError, ValueError, LookupError, RecursionError) as error:
        refuse(path, "is no whole tar file (a header is damaged); write it again", error)
    except OSError as error:
        refuse(path, f"cannot be read ({error.strerror})", error)


def _refuse_damaged(path: Path, offset: int) -> NoReturn:
    refuse(path, f"is damaged at byte {offset:,}; write it again")
