"""From a raw log to arrays: formats, meaning, vocabularies, splits."""
