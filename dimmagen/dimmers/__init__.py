"""Dimmer models of cameras and formulas: fitting, storage in profiles, and dimming of images."""
