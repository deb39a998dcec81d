"""The networks of a sweep as files."""
