"""Missed and false alarms."""
