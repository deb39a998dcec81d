"""Classifiers by name, in families, with a new head and weights from a source."""
