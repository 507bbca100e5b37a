"""This checkout: its params, paths, files and errors."""
