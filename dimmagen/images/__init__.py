"""Images: decoding and encoding, retinex, sheets."""
