"""The pictures that files and folders hold, of whatever class: what is to be predicted."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from transfer.data.class_folders import is_folder, is_image, walk_wanted, without_images
from transfer.data.other_kinds import left_out_text
from transfer.system.errors import ConfigError


@dataclass
class Pictures:
    """Files that are named, whatever they are called, and what folders hold that is an image by its
    name. They are gone through anew each time, in the order of their names: of the files of one
    folder the names alone are in memory. Links are followed; no folder is read twice for one place.

    Attributes:
        places: files, and folders with all that is below them.
        made_here: the end of the names of annotated pictures, which are not taken out of folders.
        count: how many there are.
        folders: the names of the folders that hold them.
        left_out: how many files of which suffix are no images by their name.
    """

    places: Sequence[Path]
    made_here: str
    count: int = 0
    folders: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Path]:
        """Raises ConfigError where a folder cannot be read."""
        for place in self.places:
            yield from self._walk(place, Counter())

    def left_out_line(self) -> str:
        """A sentence on what was left out; empty where nothing was."""
        if not self.left_out:
            return ""
        return f"left out what is no image by its name: {left_out_text(self.left_out)}"

    def _walk(self, place: Path, left_out: Counter[str]) -> Iterator[Path]:
        if not is_folder(place):
            yield place
            return
        for folder, files in walk_wanted(place, _refuse_folder):
            for name in files:
                path = Path(folder, name)
                if name.endswith(self.made_here):
                    left_out[self.made_here] += 1
                elif is_image(path):
                    yield path
                else:
                    left_out[path.suffix.lower() or "without suffix"] += 1


def find_pictures(places: Sequence[Path], made_here: str) -> Pictures:
    """Look into every folder, and into no file.

    Args:
        places, made_here: as `Pictures` has them.

    Raises:
        ConfigError: there is no such file, or a folder without images or that cannot be read.
    """
    found = Pictures(places, made_here)
    for place in places:
        if not os.path.lexists(place):
            _refuse(place, "there is no such file or folder")
        before, left_out = found.count, Counter[str]()
        for path in found._walk(place, left_out):
            found.count += 1
            found.folders.add(path.absolute().parent.name)
        if found.count == before:
            _refuse(place, without_images(left_out, "name another folder"))
        found.left_out += left_out
    return found


def _refuse_folder(error: OSError) -> NoReturn:
    problem = f"cannot be read ({error.strerror}); mend that, or name the folders beside it"
    raise ConfigError("image", error.filename, problem) from error


def _refuse(place: Path, problem: str) -> NoReturn:
    raise ConfigError("image", place, problem)
