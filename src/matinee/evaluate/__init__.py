"""Judging anything that recommends; the judge does not know whom it judges."""
