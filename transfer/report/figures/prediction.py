"""The figure of a prediction."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from PIL import Image

from transfer.report.figures.style import COLORS, label_axes, new_figure


def plot_prediction(picture: Image.Image, bars: Sequence[tuple[str, float]]) -> Figure:
    """The picture with its predicted class above it and the probabilities (0 to 1) beside it."""
    figure, (image, chart) = new_figure(3.6, 2)
    image.imshow(picture)
    image.set_axis_off()
    image.set_title(f"{bars[0][0]} ({bars[0][1]:.1%})")
    names = [name for name, _ in bars][::-1]
    shares = [100 * probability for _, probability in bars][::-1]
    chart.barh(names, shares, color=COLORS[0])
    chart.set_xlim(0, 100)
    label_axes(chart, "probability, %", "")
    return figure
