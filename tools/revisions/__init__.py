"""Runs of other branches, commits and experiments."""
