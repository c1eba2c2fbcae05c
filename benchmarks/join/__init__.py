"""Ways to join a network and closed forms, for blend.py."""
