"""DVC experiments: plans, the queue, sweeps and their ranking."""
