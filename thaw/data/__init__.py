"""The data set: its manifest, duplicates and split."""
