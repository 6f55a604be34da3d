"""The number of samples per shard."""


def shard_sizes(samples: int, samples_per_shard: int) -> list[int]:
    """Sizes of the fewest shards of at most `samples_per_shard` samples, equal up to one sample."""
    count = -(-samples // samples_per_shard)
    return [samples // count + (index < samples % count) for index in range(count)]
