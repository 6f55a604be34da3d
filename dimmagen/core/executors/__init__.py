"""Executors: run jobs in this process or on Ray actors. They know nothing of what a job does."""
