"""Tables, SVG charts and self-contained pages, shared by everything that reports."""
