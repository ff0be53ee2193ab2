"""Whether rankings agree, what they are worth, and whether they are steady."""
