"""What the frozen part of a network gives, stored by what it depends on."""
