"""Conformance suites that hold every keeper of a promise to it."""
