"""Where images come from: folders, archives, addresses and named data sets."""
