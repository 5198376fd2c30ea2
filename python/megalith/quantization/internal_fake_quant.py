"""A place for fake quantizers that are not public; it has the names that those are made of."""
