"""Real-valued time series."""
