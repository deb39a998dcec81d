"""Tar files for tests, as WebDataset's writer makes them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path


def write_tar(path: Path, members: Mapping[str, bytes] | list[tuple[str, bytes]]) -> Path:
    """A tar file of these members, in their order; a name may come twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def shards_of(folder: Path, root: Path, per_shard: int, prefix: str = "photos") -> list[Path]:
    """The pictures of class folders as shards, in their order, with the classes' names."""
    samples = [
        (f"{path.parent.name}/{path.stem}", path)
        for name in sorted(path.name for path in folder.iterdir())
        for path in sorted((folder / name).iterdir())
    ]
    shards = []
    for number in range(0, len(samples), per_shard):
        members = {}
        for key, path in samples[number : number + per_shard]:
            members[f"{key}{path.suffix}"] = path.read_bytes()
            members[f"{key}.cls"] = path.parent.name.encode()
        shards.append(write_tar(root / f"{prefix}-{number // per_shard:06}.tar", members))
    return shards
