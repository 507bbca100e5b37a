"""How weights change: the head and fine-tuning."""
