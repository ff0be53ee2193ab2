"""Loading a checkpoint: where it is, what it is, how it is to be held."""
