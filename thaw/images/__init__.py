"""Image files: what kind a file is, whether it is valid, and how it becomes pixels."""
