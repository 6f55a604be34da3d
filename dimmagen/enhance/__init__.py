"""The enhancement network: its inputs, its architectures, and its training on pair shards or real pairs."""
