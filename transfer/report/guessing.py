"""What is told of a configuration that is no better than guessing."""

from transfer.compare.guessing import chance_of, fault_of, known_mean
from transfer.compare.rows import Row
from transfer.report.columns import ACCURACY, percent
from transfer.report.language import Words


def guessing_text(row: Row, words: Words) -> str:
    """That it is, and what is wrong with it."""
    figures = {"accuracy": ACCURACY.text(row), "chance": percent(chance_of(row))}
    return words("finding.guessing", label=row.label, **figures, why=why_guessing(row, words))


def why_guessing(row: Row, words: Words) -> str:
    """What its curves show, and what to change."""
    losses = [f"{loss:.3f}" for loss in row.curve("train/loss")] or ["–"]
    fitted = row.params.get("batchnorm_momentum") == "fitted"
    values = {
        "train": percent(known_mean(row.final("train/acc"))),
        "seen": percent(known_mean(row.metric("best/train_acc") or row.final("train/acc"))),
        "validation": percent(known_mean(row.metric("best/val_acc"))),
        "first": losses[0],
        "last": losses[-1],
        "epochs": row.params.get("epochs", "–"),
        "rate": row.params.get("optimizer.lr", "–"),
        "statistics": "" if fitted else words("guessing.momentum"),
    }
    return words(f"guessing.{fault_of(row)}", **values)
