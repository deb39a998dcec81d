"""The machine: devices, memory, disk, signals, network. Knows nothing else of this project."""
