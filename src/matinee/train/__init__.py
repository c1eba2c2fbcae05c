"""Fitting any network: the loop, precision, checkpoints. Nothing here knows what is being learnt."""
