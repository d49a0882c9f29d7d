"""Pages of other services that show runs."""
