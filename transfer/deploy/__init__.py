"""A trained classifier as a file, and read again."""
