"""A trained classifier that answers."""
