"""Training: Lightning and data modules, what is recorded, and the runs of a configuration."""
