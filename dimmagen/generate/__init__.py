"""Jobs: the plan of a data set's shards, the worker that makes one, the executors that run many.

One job is one shard. A job's result depends on the job alone, so the executor, the number of workers and a
resume change nothing in the output.
"""
