"""The only place where the parts meet: each file tells one story from top to bottom."""
