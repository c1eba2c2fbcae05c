"""Searching any f(settings) -> (value, dollars): larger values are better, and dollars are obeyed."""
