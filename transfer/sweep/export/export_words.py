"""What is printed of files that networks were exported to."""

from collections.abc import Iterator

from transfer.compare.forms import form_verdicts
from transfer.deploy.write import Written
from transfer.system.errors import printable
from transfer.tracking.forms import FormMeasures


def told_of(written: Written, measures: FormMeasures, equivalent_within: float) -> Iterator[str]:
    """What a person reads of a form."""
    yield f"{printable(str(written.path))}: {numbers_of(measures)}"
    if written.form != "onnx_int8":
        near = f"to within {written.difference:.1g}" if written.difference else "to the bit"
        yield f"  its outputs are torch's {near}, on {written.checked} test images"
        return
    [verdict] = form_verdicts([written.form], [measures], equivalent_within / 100)
    words = {
        "equivalent": f"equivalent within {equivalent_within:g}",
        "undecided": "whether it matters is not decided",
        "worse": "it is the worse network",
        "better": "it is the better network",
    }
    yield f"  int8 changes that by {_change(measures)}: {words[verdict.kind]}"


def numbers_of(measures: FormMeasures) -> str:
    parts = [f"{measures.size_mb:.1f} MB", f"{measures.acc:.2%} of the test images right"]
    known = measures.known()
    if "latency_ms" in known:
        parts.append(
            f"{known['latency_ms']:.2f} ms an image (p90 {known['latency_p90_ms']:.2f}), "
            f"{known['latency_64_ms']:.1f} ms for 64 (p90 {known['latency_64_p90_ms']:.1f}), "
            f"threads: {known['threads']:.0f}"
        )
    if "memory_mb" in known:
        parts.append(f"{known['memory_mb']:.0f} MB of memory")
    if measures.disturbed:
        parts.append("alone, it would have been faster: something else computed meanwhile")
    return "; ".join(parts)


def fault_of(written: Written, measures: FormMeasures, equivalent_within: float) -> str:
    """Why a form must not take the place of a network: it is worse than its own."""
    [verdict] = form_verdicts([written.form], [measures], equivalent_within / 100)
    if verdict.kind != "worse" and not -100 * measures.acc_change_high > equivalent_within:
        return ""
    numbers = written.classifier.description.numbers
    return f"in {numbers} it is worse than its own network, by {_change(measures)}"


def _change(measures: FormMeasures) -> str:
    """How much more accurate a form is, for people."""
    change, low, high = (
        100 * each + 0.0
        for each in (measures.acc_change, measures.acc_change_low, measures.acc_change_high)
    )
    text = f"{change:.2f} points (95 % interval {low:.2f} to {high:.2f})"
    return text.replace("-", "−")
