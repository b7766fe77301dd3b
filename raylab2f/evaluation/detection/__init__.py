"""Which defects are found: the probability of detection by their size."""
