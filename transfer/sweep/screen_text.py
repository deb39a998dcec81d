"""What a screen prints, and keeps as the description of its run."""

import math

import pandas as pd
from tabulate import tabulate

from transfer.compare.screened import MARGIN
from transfer.sweep.screen import Screen

_HEADERS = (
    "rank",
    "candidate",
    "linear probe (%)",
    "neighbours (%)",
    "pass (s)",
    "MACs (M)",
    "parameters (M)",
    "by size",
    "ImageNet (%)",
    "by ImageNet",
)


def screen_text(screen: Screen) -> str:
    """The table and what it means, in Markdown."""
    table = screen.table
    by_size = _order(table["params"])
    by_imagenet = _order(table["imagenet"])
    rows = [
        [
            row["rank"],
            row["label"],
            f"{_percent(row['linear'])} ({_percent(row['linear_low'])} to "
            f"{_percent(row['linear_high'])})",
            _percent(row["neighbours"]),
            f"{row['pass_s']:.1f}",
            f"{row['macs'] / 1e6:,.1f}" + (" *" if row["on_front"] else ""),
            f"{row['params'] / 1e6:.2f}",
            by_size[index],
            _percent(row["imagenet"]),
            by_imagenet[index],
        ]
        for index, row in enumerate(table.to_dict("records"))
    ]
    shown = tabulate(rows, _HEADERS, tablefmt="github", disable_numparse=True)
    return "\n".join([shown, "", *_sentences(screen)])


def _sentences(screen: Screen) -> list[str]:
    table = screen.table
    equal = table["label"][table["rank"] == 1].tolist()
    out = table["label"][table["hopeless"]].tolist()
    sentences = [f"- The probes were asked for {screen.asked}; the test images were not looked at."]
    if len(equal) > 1:
        sentences.append(f"- Not to be told apart from the first: {', '.join(equal[1:])}.")
    why = f"more than {100 * MARGIN:.0f} points behind, the ends of both intervals counted"
    if out:
        sentences.append(f"- Hopeless: {', '.join(out)} ({why}).")
    elif len(table) > 1:
        sentences.append(f"- None is hopeless ({why}).")
    return [
        *sentences,
        "- `*`: none is as accurate by the linear probe and as cheap. `rank`: one more than the"
        " number of significantly better ones. `by size`, `by ImageNet`: the orders to beat, the"
        " largest model first, and the best by its makers' own figure.",
        "- A screen is there to drop the hopeless, never to name the winner: what tuning brings, it"
        " cannot see.",
    ]


def _order(values: pd.Series) -> list[str]:
    """Each value's place, the largest first; empty where it is not known."""
    places = values.rank(ascending=False, method="min")
    return ["" if math.isnan(each) else f"{each:.0f}" for each in places]


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f}"
