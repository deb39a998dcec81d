"""A data set as uint8 images, labels, class names and a digest, split and ready."""

from transfer.data.batches import Batches, training_batches
from transfer.data.class_sizes import uneven_classes
from transfer.data.data_sets import DataSets, process_data_sets
from transfer.data.image_data import ImageData, Split
from transfer.data.own_parts import refuse_idle_draws

__all__ = [
    "Batches",
    "DataSets",
    "ImageData",
    "Split",
    "process_data_sets",
    "refuse_idle_draws",
    "training_batches",
    "uneven_classes",
]
