"""The networks of a sweep as files at its end, as `deploy` asks for."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from transfer.config.deploy import FORMS, read_forms
from transfer.config.overrides import parse_overrides
from transfer.sweep.endings import resume_command
from transfer.system.errors import ConfigError

if TYPE_CHECKING:
    from transfer.tracking.run_record import RunRecord
    from transfer.tracking.store import Client

# As experiments/export.py has it.
OUT = Path("exports")
_ASKED = dict(zip(FORMS, ("onnx", "pt2", "onnx_int8"), strict=True))


@dataclass(frozen=True)
class Deployment:
    """What a sweep leaves of its networks.

    Attributes:
        forms: keys of FORMS in transfer.deploy.write.
        rows: of which configurations, "front" or "all".
    """

    forms: Sequence[str]
    rows: str


def take_as_one_value(config: DictConfig) -> None:
    """Have `deploy=onnx,int8` mean both forms for all jobs, where Hydra would make one of each for
    half of them.

    Args:
        config: of the sweep, Hydra's own part included; is changed.

    Raises:
        ConfigError: `deploy_rows` has several values.
    """
    words = config.hydra.overrides.task
    for at, override in enumerate(parse_overrides(list(words))):
        value = str(override.input_line).partition("=")[2]
        if override.key_or_group == "deploy_rows" and override.is_sweep_override():
            problem = "is one for the whole sweep: give front, or all"
            raise ConfigError("deploy_rows", value, problem)
        if override.key_or_group == "deploy":
            # Of several the last counts, as Hydra has it.
            with read_write(config), open_dict(config):
                if override.is_sweep_override():
                    quoted = QuotedString(value, Quote.single).with_quotes()
                    words[at] = f"deploy={quoted}"
                    config.deploy = value
                else:
                    config.deploy = override.value()


def plan_deployment(config: DictConfig) -> Deployment | None:
    """What was asked for, if anything was.

    Raises:
        ConfigError: a package is missing that it takes.
    """
    forms = [_ASKED[each] for each in read_forms(OmegaConf.select(config, "deploy"))]
    if not forms:
        return None
    if forms != ["pt2"]:
        from transfer.deploy.packages import EXPORT, require_packages

        require_packages(*EXPORT, key="deploy", value=config.deploy)
    return Deployment(forms, config.deploy_rows)


def refuse_deployment(value: object) -> None:
    """Raise ConfigError where `deploy` was given to a job alone."""
    if words := read_forms(value):
        to = ",".join(each for each in words if each != "int8") or "onnx"
        int8 = " int8=true" if "int8" in words else ""
        command = f"python experiments/export.py run=latest to={to}{int8}"
        problem = f"is for the networks of a sweep, with -m; afterwards, of one: {command}"
        raise ConfigError("deploy", value, problem)


def deploy(client: Client, sweep: str, asked: Deployment) -> bool:
    """Export the networks of a sweep that are not there yet, and say what they are like.

    Args:
        sweep: id of its run.

    Returns:
        Whether all that was asked for is there now; what is not was said.
    """
    from transfer.compare.networks_to_use import networks_to_use
    from transfer.compare.replicates import by_test_set
    from transfer.sweep.export.exporting import Exporting, export_all
    from transfer.tracking.selection import select
    from transfer.tracking.store import answering

    with answering(client.tracking_uri, "read"):
        found = select(client, sweep).runs
    networks = [
        network for runs in by_test_set(found) for network in networks_to_use(runs, asked.rows)
    ]
    missing = [each for each in networks if not is_there(each, asked.forms)]
    print(f"\ndeploy: {_summary(len(networks), len(missing))}", flush=True)
    failed = export_all(client, missing, Exporting(asked.forms), OUT)
    if failed:
        problem = f"{failed} of {len(networks)} networks were not exported as asked"
        print(f"{problem}; to try again:\n{resume_command()}", file=sys.stderr)
    return not failed


def _summary(networks: int, missing: int) -> str:
    if not networks:
        return "the store has no network that was trained to its end"
    there = f", {networks - missing} of them there already" if missing < networks else ""
    return f"files of {networks} network{'s' if networks > 1 else ''}{there}"


def is_there(record: RunRecord, forms: Sequence[str]) -> bool:
    """Whether a run knows what its files are like, and they lie whole where they belong."""
    from transfer.deploy.card import card_path, require_as_carded
    from transfer.deploy.write import FORMS as FILES
    from transfer.sweep.export.exporting import network_folder
    from transfer.tracking.forms import forms_of

    known, folder = forms_of(record.metrics), network_folder(OUT, record)
    if any(form not in known or math.isnan(known[form].latency_ms) for form in ("torch", *forms)):
        return False
    for path in (folder / FILES[form] for form in forms):
        try:
            card = json.loads(card_path(path).read_text(encoding="utf-8"))
            if card["run_id"] != record.id or card["output"] != "probabilities":
                return False
            if not require_as_carded(path, path.read_bytes(), key="deploy", value=path.name):
                return False
        except (ConfigError, OSError, ValueError, KeyError, TypeError):
            return False
    return True
