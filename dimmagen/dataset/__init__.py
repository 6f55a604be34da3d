"""Data sets of dark/light pairs: schema, manifest, reading, writing, verification, comparison, loaders."""
