"""How much can be taken away."""
