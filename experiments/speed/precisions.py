"""In which precision a model's training step is faster: the evidence for `precision=auto`."""

from tabulate import tabulate

from experiments.speed.contest import job_of, training_step
from experiments.speed.options import Options
from experiments.speed.timing import Spread, alternate, ratios

_STEPS_A_TURN = 2


def precision_table(options: Options) -> str:
    """Images a second of training steps in float32 and bfloat16, as a Markdown table."""
    rows = []
    size = options.batch_size
    for model in options.model_names:
        common = (
            "model=torchvision",
            f"model.name={model}",
            "weights=none",
            "freeze_epochs=0",
            f"batch_size={size}",
            *options.overrides,
        )
        jobs = {
            name: job_of(*common, f"precision={name}", images=size)
            for name in ("float32", "bfloat16")
        }
        contestants = {name: training_step(job, _STEPS_A_TURN) for name, job in jobs.items()}
        seconds = alternate(contestants, options.rounds, jobs["float32"].device, options.clock)
        images = size * _STEPS_A_TURN
        rates = [Spread.of([images / each for each in times]) for times in seconds.values()]
        gain = ratios(seconds["float32"], seconds["bfloat16"])
        rows.append([model, *(rate.text() for rate in rates), gain.text(2)])
    headers = ["model", "float32, images/s", "bfloat16, images/s", "bfloat16 is … times as fast"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)
