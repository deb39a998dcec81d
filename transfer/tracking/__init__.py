"""MLflow: the store, a sweep's parent run, a job's run, and finding runs again.

Import from the modules: store, find and sweep_run know no torch, so that a report starts at once.
"""
