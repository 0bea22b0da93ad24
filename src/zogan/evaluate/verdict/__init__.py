"""What a protocol says of a patch: accepted, rejected or undecided, clause by clause."""
