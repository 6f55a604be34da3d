"""Estimates of the time, memory and storage that a run will need, before it begins."""
