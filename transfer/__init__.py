"""Compare pretrained image classifiers on your own images. See README.md."""

__version__ = "0.1.0"
