"""From candidates and a time to one answer: `experiment=choose`."""
