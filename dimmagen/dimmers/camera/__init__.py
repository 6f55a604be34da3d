"""The camera model: a response curve and measured noise, in integer arithmetic."""
