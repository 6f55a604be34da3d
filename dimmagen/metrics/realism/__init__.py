"""How realistic is a synthetic dark image: plain functions on arrays, one module per aspect.

`exposure` (how dark), `colour` (which colours), `noise` (its strength, distribution and structure) and
`two_sample` (whether a classifier can distinguish them); `measures` combines the first three for one pair.
docs/realism.md defines every measure.
"""

from dimmagen.metrics.realism.measures import MEASURES, Measure, Reference, measure, measure_pair

__all__ = ["MEASURES", "Measure", "Reference", "measure", "measure_pair"]
