"""How tasks supply batches: fresh sequences, a fixed data set, mixed sizes, extrapolation, buckets."""
