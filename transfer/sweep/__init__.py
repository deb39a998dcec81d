"""Hydra's side: composing, launching, preview, one job and many."""
