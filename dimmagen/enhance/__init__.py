"""The brightening network: what it is given, what it is, and how it is trained from pair shards or pairs."""
