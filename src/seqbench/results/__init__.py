"""What runs leave behind, and what is made of it: the store, statistics, tables and figures."""
