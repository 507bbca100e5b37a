"""What a model is worth, and where it looks."""
