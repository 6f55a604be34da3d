"""Images: decoding, encoding, cropping, Retinex decomposition, contact sheets."""
