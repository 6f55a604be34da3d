"""Shards: USTAR archives of samples, each with a parquet file of rows in the archive's order.

This layer knows tar and parquet and nothing of dimming: `schema` says what a pair's row and sidecar hold,
`writing` makes a shard, `reading` finds and takes out members, `checking` compares a shard with its row file
and its record.
"""
