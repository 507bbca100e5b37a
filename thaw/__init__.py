"""The library of the pipeline. The arrows between its packages are in CONTRIBUTING.md."""
