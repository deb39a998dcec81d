"""Classifiers by name, in families, with a new head and weights from a source."""

from __future__ import annotations

from transfer.models.build import build_model, meta_model
from transfer.models.families import family_named, model_names
from transfer.models.frozen import FrozenBackbone, HeadAlone, features_of
from transfer.models.head import (
    backbone_modules,
    backbone_parameters,
    backbone_stages,
    backbone_state,
    head_name,
    head_of,
    head_parameters,
    replace_last_layer,
)
from transfer.models.matmul_convs import use_matmul_convs
from transfer.models.weights import TrainedOn, Weights, WeightsMatch, load_into, match_weights
from transfer.models.weights_file import read_weights_file
from transfer.models.weights_source import read_weights

__all__ = [
    "FrozenBackbone",
    "HeadAlone",
    "TrainedOn",
    "Weights",
    "WeightsMatch",
    "backbone_modules",
    "backbone_parameters",
    "backbone_stages",
    "backbone_state",
    "build_model",
    "family_named",
    "features_of",
    "head_name",
    "head_of",
    "head_parameters",
    "load_into",
    "match_weights",
    "meta_model",
    "model_names",
    "read_weights",
    "read_weights_file",
    "replace_last_layer",
    "use_matmul_convs",
]
