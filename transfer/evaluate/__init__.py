"""Accuracy, loss, calibration and cost of a classifier. Knows no files."""
