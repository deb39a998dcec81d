"""A data set as uint8 images, labels, class names and a digest, split and ready."""

from transfer.data.batches import Batches, training_batches
from transfer.data.class_sizes import uneven_classes
from transfer.data.data_sets import DataSets, process_data_sets
from transfer.data.image_data import ImageData, Split

__all__ = [
    "Batches",
    "DataSets",
    "ImageData",
    "Split",
    "process_data_sets",
    "training_batches",
    "uneven_classes",
]
