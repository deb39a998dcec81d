"""A figure that knows what it shows where, so that a page can say it below the pointer."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray

from transfer.report.figures.fonts import fallback_families

# Of one curve: a page of many must stay small, and a pointer finds no more.
_MOST_SPOTS = 100


class _Mark(NamedTuple):
    axes: Axes
    label: str
    names: Sequence[str]
    places: NDArray[np.float64]
    reach: NDArray[np.float64]
    values: Sequence[Sequence[str]]


class Chart(Figure):
    """A figure with marks: what a curve, a bar or a point is called, and its values.

    Its texts are drawn as they are, in whatever script: a class called $x$ is no formula, and
    $\\frac$ no broken one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._marks: list[_Mark] = []

    def draw(self, renderer: RendererBase) -> None:
        for axes in self.axes:
            # The words beside an axis come into being when they are asked for.
            for axis in (axes.xaxis, axes.yaxis):
                axis.get_ticklabels()
        texts = [artist for artist in self.findobj(Text) if isinstance(artist, Text)]
        more = fallback_families(text.get_text() for text in texts)
        for text in texts:
            text.set(parse_math=False)
            # A figure may be drawn twice.
            text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *more])))
        with warnings.catch_warnings():
            # Said already, in one line.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            super().draw(renderer)

    def mark(
        self,
        axes: Axes,
        label: str,
        values: Mapping[str, Sequence[str]],
        places: ArrayLike,
        *,
        reach: ArrayLike = (0, 0),
    ) -> None:
        """Say what is drawn somewhere.

        Args:
            axes: of this figure.
            label: what it is called.
            values: by the name of what they say, a text of each place; or one text alone of a line
                whose corners the places are. Of long curves, some are left out.
            places: float [N, 2], in the axes' units. Those that are NaN are left out.
            reach: float [2] or [N, 2], how far a bar or a cell reaches to either side of its
                middle, and up and down.
        """
        found = np.asarray(places, dtype=np.float64).reshape(-1, 2)
        texts = list(zip(*values.values(), strict=True))
        reaches = np.broadcast_to(np.asarray(reach, dtype=np.float64), found.shape)
        if len(texts) == len(found):
            kept = np.flatnonzero(np.isfinite(found).all(axis=1))
            kept = kept[:: -(-len(kept) // _MOST_SPOTS) or 1]
            found, reaches, texts = found[kept], reaches[kept], [texts[index] for index in kept]
        if len(found):
            self._marks.append(_Mark(axes, label, list(values), found, reaches, texts))

    def marks(self) -> list[dict[str, Any]]:
        """The marks, for JSON, once the figure was saved: before, nothing has its place.

        Each has a `label`, the `names` of values, and `spots` of two or four whole numbers: from
        the left and from the top, and how far it reaches to either side and up and down, in
        10,000ths of the figure's width and height. `values` has a list of texts a spot; or one list
        alone, where the spots are the corners of a line.
        """
        return [self._placed(mark) for mark in self._marks]

    def _placed(self, mark: _Mark) -> dict[str, Any]:
        size = np.array([self.bbox.width, self.bbox.height])
        places, corners = (
            mark.axes.transData.transform(each) / size
            for each in (mark.places, mark.places + mark.reach)
        )
        columns = [places[:, 0], 1 - places[:, 1]]
        if mark.reach.any():
            columns += list(np.abs(corners - places).T)
        spots = np.rint(10_000 * np.stack(columns, axis=1)).astype(int)
        named = {"label": mark.label, "names": list(mark.names)}
        return named | {"spots": spots.tolist(), "values": [list(each) for each in mark.values]}
