"""Classifiers that the user's own Python file makes."""
