"""Jobs: the plan of a data set's shards, the worker that makes them, and the run of all jobs.

A job makes one or a few shards. Its result depends on the job alone, so the executor, the number of workers
and a resume change nothing in the output.
"""
