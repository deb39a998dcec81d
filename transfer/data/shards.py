"""Your own images in the tar files of WebDataset, more of them than memory and disk would take.

Only an index is kept: where each picture begins, its bytes, their hash and its label. Batches are
read and decoded when they are needed, any picture at any time, so that images are shuffled over
all shards, split, and continued in the middle of an epoch exactly as those in memory are.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NoReturn

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

from transfer.config.schema import ShardsConfig
from transfer.data.copies import two_classes_lines
from transfer.data.decode import MAX_BYTES, decode_or_refuse
from transfer.data.decoded_cache import files_digest
from transfer.data.encoded import EncodedImages, content_hash, read_at
from transfer.data.image_data import Source, Split, decoding_threads
from transfer.data.image_folder import cut_off_line, skipped_lines
from transfer.data.shard_classes import classes_and_labels
from transfer.data.shard_files import Parts, part_shards, require_shards, shard_names
from transfer.data.shard_samples import Samples, list_samples
from transfer.system.bars import bar
from transfer.system.cache import disk_cache
from transfer.system.digest import hex_digest
from transfer.system.errors import ConfigError, printable
from transfer.system.prefetch import ordered_prefetch

# Part of every key: to be raised when the index holds something else.
_VERSION = 2
# Pixels of the squares as which pictures are looked at when they are listed.
_LOOKED_AT = 64

# A picture that cannot be read: the number of its shard, its name there, why, and the number of the
# word that is its label.
_Bad = tuple[int, str, str, int]


def read_shards(config: ShardsConfig, side: int, interpolation: str = "bilinear") -> Source:
    """The index of `data.root`'s shards as a data set, whose images are decoded when they are
    taken, as `read_image_folder` would have decoded them.

    Each picture is read and decoded once, to see that it is whole, and again only when a shard is
    another, by its name, size and times.

    Raises:
        ConfigError: a shard is missing, damaged or empty; a sample has no picture or no label; the
            parts' classes differ; a picture cannot be read; or of those skipped, one was the last
            of its class.
    """
    parts = part_shards(config)
    shards = [path for paths in parts.values() for path in paths]
    require_shards(shards)
    names = shard_names(config, shards)
    index = _kept_index(config, shards, names)
    about = json.loads(index["about"].numpy().tobytes())
    # The index may have been made where they were skipped.
    if about["bad"] and config.on_bad_image == "fail":
        shard, name, problem, _ = about["bad"][0]
        _refuse_bad(shards[shard] / name, problem)
    ends = torch.searchsorted(index["shard"], torch.tensor(_ends(parts), dtype=torch.int32))
    bounds = dict(zip(parts, pairwise([0, *ends.tolist()]), strict=True))
    words = {part: index["label"][begin:end] for part, (begin, end) in bounds.items()}
    classes, number_of = _classes(
        config, shards, about["words"], words, _by_part(parts, about["bad"])
    )
    labels = number_of[index["label"]]
    # As a folder's: all as they are, if they are squares of one size, and no larger.
    edge = about["edge"]
    stored = EncodedImages(
        archives=shards,
        archive=index["shard"],
        offsets=index["offset"],
        sizes=index["size"],
        hashes=index["hash"],
        side=edge if 0 < edge <= side else side,
        decoded_side=side,
        fit=config.fit,
        interpolation=interpolation,
    )
    splits = {part: _split(stored, labels, index, *each) for part, each in bounds.items()}
    skipped = tuple(f"{names[shard]}/{name}: {problem}" for shard, name, problem, _ in about["bad"])
    remarks = (
        *about["remarks"],
        *skipped_lines(skipped, len(labels) + len(skipped)),
        *cut_off_line(config.fit, about["outside"]),
        *two_classes_lines(list(splits.values())),
    )
    digest = hex_digest(_content(classes, splits, stored))
    return Source(classes, **splits, skipped=skipped, remarks=remarks, known_digest=digest)


def _classes(
    config: ShardsConfig,
    shards: Sequence[Path],
    listed: Sequence[str],
    words: Mapping[str, Tensor],
    bad: Mapping[str, Sequence[_Bad]],
) -> tuple[tuple[str, ...], Tensor]:
    """The names of the classes, and for the number of each word that of its class.

    Args:
        listed: the words that label pictures.
        words: the numbers of those of each part's pictures, int64 [N].
        bad: the pictures of each part that cannot be read.

    Raises:
        ConfigError: the parts' classes differ, or one has no other pictures in some part.
    """
    bad_words = {part: torch.tensor([word for *_, word in bad[part]]).long() for part in words}
    used = {part: torch.cat([words[part], bad_words[part]]) for part in words}
    classes, number_of = classes_and_labels(config, listed, used)
    for part in words:
        lost = set(number_of[bad_words[part]].tolist()) - set(number_of[words[part]].tolist())
        if lost:
            number = min(lost)
            of_class = [each for each in bad[part] if number_of[each[3]] == number]
            what = f"images of {classes[number]} in the {part} shards"
            _refuse_all_bad(config, shards, of_class, what)
    return classes, number_of


def _split(
    stored: EncodedImages, labels: Tensor, index: Mapping[str, Tensor], begin: int, end: int
) -> Split:
    """The pictures from number `begin` to the one before `end`."""
    return Split(
        stored,
        labels[begin:end],
        rows=torch.arange(begin, end),
        files=index["hash"][begin:end],
        names=index["names"],
        thumbnails=index["thumbnails"][begin:end],
        shards=index["shard"][begin:end],
    )


def decoded(source: Source) -> Source:
    """The same with all images in memory; its name stays."""
    splits = {name: split.in_memory() for name, split in source.splits.items()}
    return replace(source, **splits)  # type: ignore[arg-type]


def _ends(parts: Parts) -> list[int]:
    """The number of the first shard behind each part."""
    return list(accumulate(len(paths) for paths in parts.values()))


def _content(
    classes: Sequence[str], splits: Mapping[str, Split], stored: EncodedImages
) -> Iterator[bytes | memoryview]:
    """What names the images: their files, and how they become squares."""
    yield "\n".join(classes).encode()
    yield str((stored.side, stored.decoded_side, stored.fit, stored.interpolation)).encode()
    for name, split in splits.items():
        yield f"{name} {len(split)}".encode()
        for each in (split.files, split.labels):
            assert each is not None
            yield each.contiguous().numpy().data


def _by_part(parts: Parts, bad: Sequence[_Bad]) -> dict[str, list[_Bad]]:
    ends = _ends(parts)
    return {
        part: [each for each in bad if end - len(parts[part]) <= each[0] < end]
        for part, end in zip(parts, ends, strict=True)
    }


def _kept_index(
    config: ShardsConfig, shards: Sequence[Path], names: Sequence[str]
) -> dict[str, Tensor]:
    # The names are in it, and depend on how data.root is written.
    key = [_VERSION, list(names), files_digest(shards), PIL.__version__]
    return disk_cache().tensors("shards", key, lambda: _make_index(config, shards, names))


def _make_index(
    config: ShardsConfig, shards: Sequence[Path], names: Sequence[str]
) -> dict[str, Tensor]:
    """What is known of the pictures that are whole, in their order: the number of the `shard`,
    `offset` and `size` in it, `hash`, `label` (the number of a word), `thumbnails` and `names`; and
    `about` all, as JSON."""
    samples = list_samples(shards)
    good, hashes, looks = array("q"), array("q"), bytearray()
    outside, edges, bad = 0.0, set[int](), list[_Bad]()
    # Of Python's objects, a million would take more than the index.
    texts = bytearray()
    threads = decoding_threads()
    work = ordered_prefetch(
        lambda index: _look(config, shards, samples, index),
        range(len(samples)),
        threads=threads,
        ahead=4 * threads,
    )
    with closing(work) as done:
        for index, seen in enumerate(bar(done, desc="looking at images", total=len(samples))):
            shard, name = samples.shard[index], samples.name(index)
            if isinstance(seen, ConfigError):
                bad.append((shard, name, seen.problem, samples.label[index]))
                continue
            good.append(index)
            hashes.append(seen.hash)
            looks += seen.thumbnail
            width, height = seen.shape
            outside += 1 - min(seen.shape) / max(seen.shape)
            edges.add(width if width == height else 0)
            texts += (b"\0" if texts else b"") + f"{names[shard]}/{name}".encode()
    if not good:
        _refuse_all_bad(config, shards, bad, "images")
    about = {
        "words": samples.words,
        "bad": bad,
        "outside": outside / max(len(good), 1),
        "edge": edges.pop() if len(edges) == 1 else 0,
        "remarks": list(_left_out_line(samples)),
    }
    kept = np.frombuffer(good, np.int64)

    def of_good(values: array[int], kind: type) -> Tensor:
        return torch.from_numpy(np.frombuffer(values, np.int64)[kept].astype(kind))

    return {
        "shard": of_good(samples.shard, np.int32),
        "offset": of_good(samples.offsets, np.int64),
        "size": of_good(samples.sizes, np.int64),
        "label": of_good(samples.label, np.int64),
        "hash": torch.tensor(hashes, dtype=torch.int64),
        "thumbnails": torch.frombuffer(looks, dtype=torch.uint8).view(-1, 64),
        "names": torch.frombuffer(texts, dtype=torch.uint8),
        "about": torch.frombuffer(bytearray(json.dumps(about).encode()), dtype=torch.uint8),
    }


@dataclass(frozen=True)
class _Seen:
    hash: int
    shape: tuple[int, int]
    thumbnail: bytes


def _look(
    config: ShardsConfig, shards: Sequence[Path], samples: Samples, index: int
) -> _Seen | ConfigError:
    """Read and decode a picture; what is wrong with it, where that is to be passed over."""
    path, size = shards[samples.shard[index]], samples.sizes[index]
    place = path / samples.name(index)
    # What is larger is refused by its size alone.
    content = read_at(path, samples.offsets[index], min(size, MAX_BYTES + 1))
    try:
        picture = decode_or_refuse(
            place,
            key="data.root",
            content=content,
            side=_LOOKED_AT,
            fit="squash",
        )
    except ConfigError as error:
        if config.on_bad_image == "skip":
            return error
        _refuse_bad(place, error.problem, error)
    grey = picture.convert("L").resize((8, 8), Image.Resampling.BOX)
    return _Seen(content_hash(content), picture.info["shape"], grey.tobytes())


def _refuse_bad(path: Path, problem: str, cause: Exception | None = None) -> NoReturn:
    skip = "leave out such files with data.on_bad_image=skip"
    raise ConfigError("data.root", path, f"{problem}, or {skip}") from cause


def _refuse_all_bad(
    config: ShardsConfig, shards: Sequence[Path], bad: Sequence[_Bad], what: str
) -> NoReturn:
    shard, name, problem, _ = bad[0]
    none = f"none of the {len(bad)} {what} can be read"
    reason = f"the first, {shards[shard] / name}, {problem}"
    raise ConfigError("data.on_bad_image", config.on_bad_image, f"{none}; {reason}")


def _left_out_line(samples: Samples) -> Iterator[str]:
    if samples.left_out:
        most = samples.left_out.most_common(5)
        kinds = ", ".join(f"{count} {printable(suffix)}" for suffix, count in most)
        yield f"left out what is no part of a sample by its name, or no file: {kinds}"
