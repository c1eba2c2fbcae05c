"""Tensors in, tensors out: networks and their losses. Nothing here knows of logs, files or settings."""
