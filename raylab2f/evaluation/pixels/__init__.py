"""How well anomaly maps find defects."""
