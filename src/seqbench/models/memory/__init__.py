"""Networks with an explicit memory, which they address, read and write."""
