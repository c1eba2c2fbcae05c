"""Words that every layer shares. This package imports nothing else of matinee."""
