"""One page per job: read, transform, write."""
