"""A sweep in rungs, at each of which the losers are dropped: `hydra/sweeper=halving`."""
