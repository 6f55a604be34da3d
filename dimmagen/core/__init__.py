"""Foundations: errors, storage, hashing, keyed random numbers, executors. Independent of images."""
