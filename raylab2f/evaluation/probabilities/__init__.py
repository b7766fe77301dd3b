"""Scores turned into probabilities of being defective, and how far these can be relied on."""
