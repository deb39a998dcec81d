"""What the phone will see: the exported forms of the networks, each below its own."""

import math
from collections.abc import Callable, Sequence

from transfer.compare.comparison import Comparison
from transfer.compare.decision import MOST_GIVEN_UP
from transfer.compare.forms import FormRow, form_rows
from transfer.report.columns import p_text, percent, points
from transfer.report.document import Block, Bullets, Heading, Paragraph, Picture, Table
from transfer.report.language import Words
from transfer.report.tables import DISTURBED, FRONT
from transfer.system.markdown import literal


def reported_forms(comparison: Comparison) -> list[FormRow]:
    """The forms that a report on a comparison has."""
    return form_rows(comparison.rows, comparison.criterion, _within(comparison))


def phone_blocks(
    comparison: Comparison, words: Words, picture: Picture | None = None
) -> list[Block]:
    """Nothing, where no network was exported.

    Args:
        picture: of the forms.
    """
    forms = reported_forms(comparison)
    if not forms:
        return []
    blocks: list[Block] = [Heading(words("section.phone")), _table(forms, words)]
    sentences = [*_fastest(forms, words), *_order(forms, words)]
    legend = [words("legend.phone", within=f"{100 * _within(comparison):g}")]
    if any(form.measures.disturbed for form in forms):
        legend.append(words("legend.phone_disturbed"))
    blocks += [Bullets(sentences)] if sentences else []
    blocks += [picture] if picture else []
    return [*blocks, *map(Paragraph, legend)]


def _within(comparison: Comparison) -> float:
    """The difference in accuracy that counts as none; where losses are compared, a point."""
    return comparison.equivalent_within if comparison.criterion.sign > 0 else 0.01


def _table(forms: Sequence[FormRow], words: Words) -> Table:
    texts: dict[str, Callable[[FormRow], str]] = {
        words("column.form.size"): lambda each: _number(each.measures.size_mb, 1),
        words("column.form.acc"): lambda each: percent(each.measures.acc),
        words("column.form.change"): lambda each: _change(each, words),
        words("column.form.p"): lambda each: p_text(each.measures.acc_change_p),
        words("column.form.verdict"): lambda each: _verdict(each, words),
        words("column.form.latency"): lambda each: _time(each, "latency", 2, words),
        words("column.form.latency_64"): lambda each: _time(each, "latency_64", 1, words),
        words("column.form.memory"): lambda each: _number(each.measures.memory_mb, 0),
        words("column.form.threads"): lambda each: _number(each.measures.threads, 0),
    }
    columns = {
        words("column.configuration"): [literal(each.row.label) for each in forms],
        words("column.form"): [words(f"form.{each.form}") for each in forms],
    }
    for header, text in texts.items():
        cells = [text(each) for each in forms]
        if set(cells) != {"–"}:
            columns[header] = cells
    headers = [*columns]
    verdicts = {at for at, each in enumerate(headers) if each == words("column.form.verdict")}
    return Table(headers, list(zip(*columns.values(), strict=True)), 2, verdicts)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _change(form: FormRow, words: Words) -> str:
    each = form.measures
    if not math.isfinite(each.acc_change):
        return "–"
    bounds = (points(bound) for bound in (each.acc_change_low, each.acc_change_high))
    low, high = bounds
    return f"{points(each.acc_change)} ({words('range', low=low, high=high)})"


def _verdict(form: FormRow, words: Words) -> str:
    kind = form.verdict.kind
    return "–" if kind == "unknown" else words(f"verdict.{kind}")


def _time(form: FormRow, name: str, digits: int, words: Words) -> str:
    median, p90 = (getattr(form.measures, f"{name}{part}_ms") for part in ("", "_p90"))
    if not math.isfinite(median):
        return "–"
    text = words("form.time", median=_number(median, digits), p90=_number(p90, digits))
    text += f" {FRONT}" if form.on_front and name == "latency" else ""
    return f"{text} {DISTURBED}" if form.measures.disturbed else text


def _fastest(forms: Sequence[FormRow], words: Words) -> list[str]:
    """Which form to put on a phone: the fastest of those that give up little."""
    timed = [
        each
        for each in forms
        # Torch itself is no file.
        if each.form != "torch" and math.isfinite(each.measures.latency_ms + each.measures.acc)
    ]
    if not timed:
        return []
    least = max(each.measures.acc for each in timed) - MOST_GIVEN_UP
    near = [each for each in timed if each.measures.acc >= least]
    best = min(near, key=lambda each: each.measures.latency_ms)
    sentence = words(
        "phone.fastest",
        label=best.row.label,
        form=words(f"form.{best.form}"),
        points=f"{100 * MOST_GIVEN_UP:.0f}",
        acc=percent(best.measures.acc),
        latency=_number(best.measures.latency_ms, 2)
        + (f" {DISTURBED}" if best.measures.disturbed else ""),
        size=_number(best.measures.size_mb, 1),
    )
    return [sentence]


def _order(forms: Sequence[FormRow], words: Words) -> list[str]:
    """Whether int8 changes which network is the more accurate one."""
    int8 = [each for each in forms if each.form == "onnx_int8"]
    if len(int8) < 2:
        return []
    before = sorted(int8, key=lambda each: each.measures.acc_change - each.measures.acc)
    after = sorted(before, key=lambda each: -each.measures.acc)
    # Of networks that are as accurate as each other either order is the same.
    if before == after:
        return [words("phone.same_order", count=len(int8))]
    labels = words("comma").join(f"`{literal(each.row.label)}`" for each in after)
    return [words("phone.other_order", labels=labels)]
