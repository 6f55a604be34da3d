"""How many samples go into which shard."""


def shard_sizes(samples: int, samples_per_shard: int) -> list[int]:
    """The fewest shards that hold at most `samples_per_shard` each, in sizes that differ by at most one."""
    count = -(-samples // samples_per_shard)
    return [samples // count + (index < samples % count) for index in range(count)]
