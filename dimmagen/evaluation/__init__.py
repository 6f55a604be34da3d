"""Evaluation: how realistic dimmers are, and how good enhancement networks are."""
