"""Which images to label next, and how many."""
