"""Labels of light images: read in the formats that people have them in, and moved as rules move pixels."""
