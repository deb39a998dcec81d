"""What a person runs around a sweep."""
