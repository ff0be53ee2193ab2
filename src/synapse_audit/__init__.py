"""Audit Transformer classifiers: where knowledge sits, what breaks it, what redirects it."""
