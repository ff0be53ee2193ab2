"""Statements that several sections quote."""
