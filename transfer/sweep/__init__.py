"""Hydra's side: composing, launching, preview, one job and many.

What every sweep needs is here; what some do has a folder: jobs that are dropped on the way (race),
chosen one by one (search) or from candidates and a time (choose), jobs in processes of their own
(launch), and the networks as files at the end (export).
"""
