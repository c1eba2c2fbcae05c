"""One asker at a time over HTTP: what is stored, how it is answered, three faces and a page."""
