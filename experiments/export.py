"""Turn the network of a finished run into files that run without this project: ONNX or
torch.export's pt2, in float32 or int8, checked against torch, tested and timed.

    python experiments/export.py run=<id>|best|latest [to=onnx,pt2] [int8=true] [softmax=false]
    python experiments/export.py sweep=latest [rows=front|all] to=onnx int8=true
    python experiments/export.py run=best register=NAME

Each file has a card beside it, of the same name with .json. What was measured is kept with the run,
and the report shows it.
"""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from experiments.arguments import STORE, option, run
from transfer.compare.networks_to_use import networks_to_use
from transfer.deploy.mlflow_model import save_served_model
from transfer.deploy.packages import EXPORT, require_packages
from transfer.evaluate.metrics import evaluate_logits
from transfer.report.write import EQUIVALENT_WITHIN
from transfer.sweep.export.export_words import fault_of
from transfer.sweep.export.exporting import (
    Exported,
    Exporting,
    export_all,
    export_network,
    logits_of,
    network_folder,
)
from transfer.system import interrupt
from transfer.system.disk import disk_fault
from transfer.system.errors import ConfigError, printable
from transfer.tracking.find import find_job_run
from transfer.tracking.registry import register, require_name
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import select
from transfer.tracking.store import Client, open_store, store_uri


@dataclass
class Options:
    run: str | None = option(
        None,
        "id of a finished run; latest; or best: the network that the report on sweep says to take,"
        " which is the default",
    )
    sweep: str | None = option(
        None, "latest, <date>/<time> as below multirun/, or an id: export its networks"
    )
    rows: str | None = option(
        None,
        "which configurations of sweep, or of the latest: front, the first and those on the front"
        " of accuracy against multiply-accumulates, as with sweep alone, or all",
    )
    to: str = option("onnx", "onnx, pt2 or onnx,pt2")
    int8: str = option("false", "true: ONNX in int8 as well")
    softmax: str = option("true", "true: files give probabilities; false: logits")
    out: str | None = option(None, "folder for the files; default: exports/<run>/")
    time: str = option("true", "true: measure latency and memory, of torch's own as well")
    threads: int = option(0, "that files are timed with; 0: one a core")
    register: str | None = option(
        None,
        "name in MLflow's model registry: the ONNX file, with int8=true that in int8, goes there",
    )
    equivalent_within: float = option(
        100 * EQUIVALENT_WITHIN, "points of accuracy; less is called equivalent"
    )
    tracking_uri: str | None = option(None, STORE)


def main(options: Options) -> None:
    forms = _forms(options)
    if "onnx" in forms:
        require_packages(*EXPORT, key="to", value=options.to)
    client = open_store(store_uri(options.tracking_uri))
    runs = _runs(client, options)
    if options.register is not None and len(runs) > 1:
        raise ConfigError("register", options.register, "takes one network; name it with run=")
    how = Exporting(
        forms,
        softmax=options.softmax == "true",
        timed=options.time == "true",
        threads=options.threads,
        equivalent_within=options.equivalent_within,
    )
    out = Path(options.out or "exports")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the folder {out} cannot be made ({error.strerror}); name another place"
        raise ConfigError("out", out, problem) from error
    interrupt.listen("stopped")
    try:
        if len(runs) > 1:
            failed = export_all(client, runs, how, out)
        else:
            failed = 0
            _export_one(client, runs[0], how, out, options)
    except Exception as error:
        # Libraries raise errors of their own for an interruption, and for a full disk.
        interrupt.raise_if_requested()
        if (fault := disk_fault(error)) is None:
            raise
        print(f"{fault}: {printable(str(out))}; what is there is whole", file=sys.stderr)
        sys.exit(1)
    if failed:
        print(f"{failed} of {len(runs)} networks were not exported as asked", file=sys.stderr)
        sys.exit(2)


def _export_one(
    client: Client, record: RunRecord, how: Exporting, out: Path, options: Options
) -> None:
    """Export a network, and register the last ONNX file of it where that was asked for."""
    folder = out if options.out else network_folder(out, record)
    registered = [form for form in how.forms if form.startswith("onnx")][-1:]
    for exported in export_network(client, record, how, folder):
        if options.register is not None and exported.written.form in registered:
            print(_register(client, record, exported, options.register, how.equivalent_within))


def _forms(options: Options) -> list[str]:
    """What is asked for, as keys of FORMS, the float32 ones first."""
    forms = options.to.split(",")
    if not set(forms) <= {"onnx", "pt2"}:
        raise ConfigError("to", options.to, "choose from onnx, pt2, or both with a comma between")
    for key in ("int8", "softmax", "time"):
        if getattr(options, key) not in ("true", "false"):
            raise ConfigError(key, getattr(options, key), "choose from true, false")
    if options.rows not in (None, "front", "all"):
        raise ConfigError("rows", options.rows, "choose from front, all")
    if options.rows is not None and options.run is not None:
        problem = f"chooses among the networks of a sweep; run={options.run} names one already"
        raise ConfigError("rows", options.rows, problem)
    if options.threads < 0:
        raise ConfigError("threads", options.threads, "must be at least 0")
    if not 0 < options.equivalent_within < 100:
        problem = "must be above 0 and below 100: points of accuracy, such as 1"
        raise ConfigError("equivalent_within", f"{options.equivalent_within:g}", problem)
    if options.int8 == "true" and "onnx" not in forms:
        raise ConfigError("int8", "true", "only ONNX files are quantised; take to=onnx")
    if options.register is not None:
        require_name(options.register)
        if "onnx" not in forms:
            raise ConfigError("register", options.register, "takes an ONNX file; take to=onnx")
    return [*dict.fromkeys(forms), *(["onnx_int8"] if options.int8 == "true" else [])]


def _runs(client: Client, options: Options) -> list[RunRecord]:
    if options.run not in (None, "best"):
        if options.sweep is not None:
            raise ConfigError("sweep", options.sweep, f"run={options.run} names a run already")
        return [find_job_run(client, options.run)]
    sweep = options.sweep or "latest"
    # Whoever asks for several means those of the latest.
    several = options.run is None and (options.sweep is not None or options.rows is not None)
    which = (options.rows or "front") if several else "best"
    found = networks_to_use(select(client, sweep).runs, which)
    if not found:
        raise ConfigError("sweep", sweep, "none of its runs has finished")
    return found


def _register(
    client: Client, record: RunRecord, exported: Exported, name: str, equivalent_within: float
) -> str:
    written, val = exported.written, exported.data.val
    found = evaluate_logits(logits_of(written, val), val.labels)
    validation = {
        "acc": found.accuracy,
        "balanced_acc": found.balanced_accuracy,
        "loss": found.loss,
    }
    fault = fault_of(written, exported.measures, equivalent_within)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        save_served_model(written.path, written.classifier.description, model)
        card = json.loads((model / "card.json").read_text(encoding="utf-8"))
        registered = register(client, record, model, name, card, validation=validation, fault=fault)
        return str(registered)


if __name__ == "__main__":
    run(main, Options, __doc__)
