"""The figures of reports, runs and predictions."""
