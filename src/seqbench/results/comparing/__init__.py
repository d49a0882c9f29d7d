"""Is one model better than another? Tests of runs against runs, over seeds, lengths and tasks."""
