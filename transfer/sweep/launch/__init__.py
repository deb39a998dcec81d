"""Jobs in processes of their own: on this machine, on Slurm's and on Ray's."""
