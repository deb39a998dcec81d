"""Test pictures to look at: what the best network gets wrong, and where the two best differ."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transfer.compare.comparison import Comparison
from transfer.compare.keys import REPLICATE_KEYS
from transfer.compare.replicates import test_images_of
from transfer.compare.rows import Row
from transfer.report.document import Gallery, Table, Tile
from transfer.report.figures.contact_sheet import save_contact_sheet
from transfer.report.language import Words
from transfer.system.markdown import literal
from transfer.tracking.artifacts import Predictions
from transfer.tracking.examples import Example
from transfer.tracking.run_record import RunRecord

# Titles, words and files are named by them.
GALLERIES = ("mistakes", "differences")
# As many as one looks at.
_SHOWN = 12

ReadExamples = Callable[[RunRecord], Mapping[int, Example] | None]


@dataclass(frozen=True)
class _Network:
    """A trained network with what it answered; `name` is that of its configuration."""

    name: str
    run: RunRecord
    answers: Predictions

    def answer(self, index: int) -> str:
        """What it says of a test image, how sure it is, and whether that is right."""
        guess = self.answers.names[self.answers.predicted[index]]
        sign = "✓" if self.answers.correct[index] else "✗"
        return f"{guess}, {100 * self.answers.confidence[index]:.0f} % {sign}"


def build_galleries(
    comparison: Comparison, read: ReadExamples, words: Words, folder: Path, prefix: str = ""
) -> list[Gallery]:
    """The pictures that the best network gets most confidently wrong, and those on which the two
    best differ; none where their runs kept none.

    Args:
        comparison: whose first two rows are the best.
        read: fetches the pictures that a run kept, if it did.
        folder: of the report; the pictures go into figures/ in it.
        prefix: of the files' names.
    """
    rows, runs = comparison.rows, comparison.networks
    best = _network(rows[0], runs[0]) if rows else None
    if best is None:
        return []
    examples = dict(read(best.run) or {})
    galleries = [_gallery([best], best.answers.surest_mistakes, examples, words, prefix)]
    second = _network(rows[1], runs[1]) if len(rows) > 1 else None
    if second is not None and _on_same_images(best, second):
        different = _surest_differences(best.answers, second.answers)
        examples |= read(second.run) or {}
        galleries.append(_gallery([best, second], different, examples, words, prefix))
    shown = [gallery for gallery in galleries if gallery.tiles]
    for gallery in shown:
        save_contact_sheet(gallery.tiles, folder / gallery.path)
    return shown


def _network(row: Row, index: int) -> _Network | None:
    """The network of one of a row's runs; None where its answers are lost."""
    answers, run = row.predictions[index], row.runs[index]
    if answers is None:
        return None
    differing = [
        key for key in REPLICATE_KEYS if len({each.params.get(key) for each in row.runs}) > 1
    ]
    name = " ".join([row.label, *(f"{key}={run.params.get(key)}" for key in differing)])
    return _Network(name, run, answers)


def _on_same_images(one: _Network, other: _Network) -> bool:
    """Whether two networks answered the same test images."""
    # Of runs of before the images' digest was kept, nobody knows.
    alike = np.array_equal(one.answers.labels, other.answers.labels)
    return alike and test_images_of(one.run) == test_images_of(other.run)


def _surest_differences(one: Predictions, other: Predictions) -> NDArray[np.int64]:
    """The images of which two networks say different things, those first of which both are sure."""
    different = np.flatnonzero(one.predicted != other.predicted)
    surety = np.minimum(one.confidence, other.confidence)[different]
    return different[np.argsort(-surety, kind="stable")]


def _gallery(
    networks: Sequence[_Network],
    indices: NDArray[np.int64],
    examples: Mapping[int, Example],
    words: Words,
    prefix: str,
) -> Gallery:
    """Those first of some test images of which there is a picture, with what each network says."""
    name, answers = GALLERIES[len(networks) - 1], networks[0].answers
    shown = [index for index in indices.tolist() if index in examples][:_SHOWN]
    letters = [f"{letter}: " for letter in "AB"] if len(networks) > 1 else [""]
    tiles = [
        Tile(
            jpeg=examples[index].jpeg,
            title=answers.names[answers.labels[index]],
            lines=[
                letter + network.answer(index)
                for letter, network in zip(letters, networks, strict=True)
            ],
            file=examples[index].name,
        )
        for index in shown
    ]
    of_networks = {"first": networks[0].name, "second": networks[-1].name}
    headers = [words("gallery.number"), words("gallery.file")]
    files = [[str(number), literal(tile.file)] for number, tile in enumerate(tiles, start=1)]
    return Gallery(
        title=words(f"figure.{name}"),
        text=words(f"gallery.{name}", **of_networks, shown=len(shown), all=len(indices)),
        tiles=tiles,
        path=f"figures/{prefix}{name}.png",
        files=Table(headers, files, len(headers)) if any(tile.file for tile in tiles) else None,
    )
