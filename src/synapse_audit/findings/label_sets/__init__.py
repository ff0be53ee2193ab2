"""Findings of models with several labels per example, each decided by itself."""
