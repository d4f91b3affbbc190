"""Part of the workshop; runs from a clone."""
