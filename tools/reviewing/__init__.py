"""Which images a person should look at, and what they decide."""
