"""Options of a training that takes a second."""

QUICK = ("--perceptual", "none", "--crop", "32", "--validate-every", "2")
