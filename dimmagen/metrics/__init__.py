"""Metrics: image quality and realism."""
