"""The paper's mixture density network, and its authors' transform."""
