"""dimmagen: low-light training pairs for *your* camera."""

__version__ = "0.1.0"
