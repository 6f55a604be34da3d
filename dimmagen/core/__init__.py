"""Foundations: errors, storage, hashing, keyed random numbers, executors. Knows nothing of images."""
