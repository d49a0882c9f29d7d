"""Where batches come from: fresh sequences, a fixed data set, mixed sizes, extrapolation, buckets."""
