"""Measures and protocols: how true a dimmer is, how good an enhancer."""
