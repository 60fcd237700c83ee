"""Ways to run a model, one file each; all follow ``run.Runner`` and return ``run.Run``."""
