"""Folds on Ray Tune and Ray Train: placement, trials, what becomes of killed ones."""
