"""How true is a synthetic dark picture: plain functions on arrays, one module a side of it.

`exposure` (how dark), `colour` (which colours), `noise` (how strong, of which shape, how structured) and
`two_sample` (can a classifier tell them apart); `measures` puts the first three together for one pair.
docs/realism.md defines every measure.
"""

from dimmagen.metrics.realism.measures import MEASURES, Measure, Reference, measure, measure_pair

__all__ = ["MEASURES", "Measure", "Reference", "measure", "measure_pair"]
