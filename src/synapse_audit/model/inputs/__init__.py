"""Inputs on their way into a model: tokenised or processed, then padded into a batch."""
