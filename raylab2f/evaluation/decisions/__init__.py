"""From scores to decisions: object scores, curves, thresholds."""
