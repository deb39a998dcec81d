"""Jobs that Optuna chooses, trial by trial: `hydra/sweeper=search`."""
