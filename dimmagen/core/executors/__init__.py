"""Executors: run jobs in this process or on Ray actors. They are independent of what a job does."""
