"""What the tests of images share."""

from __future__ import annotations

import pytest
from PIL import Image
from sklearn.datasets import load_sample_image


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A real photograph, 640 x 427."""
    return Image.fromarray(load_sample_image("china.jpg"))
