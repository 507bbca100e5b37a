"""Which label and split each file has: by its path or by a table."""
