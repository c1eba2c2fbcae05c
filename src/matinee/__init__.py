"""Matinee: deep-learning recommendation for people without deep pockets."""
