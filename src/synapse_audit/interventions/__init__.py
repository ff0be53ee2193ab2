"""What is done to a classifier: operators rewrite activations, edits change weights."""
