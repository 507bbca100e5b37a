"""What a model's answers are worth: calibrated probabilities, "unsure" and "unknown"."""
