"""What pages and reports have in common."""
