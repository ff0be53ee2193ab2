"""The audit from model and data to report: one screen, its stages, and its repetition over
seeds."""
