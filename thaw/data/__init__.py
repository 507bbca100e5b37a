"""Images on disk: where they come from, what they are, and which split each is in."""
