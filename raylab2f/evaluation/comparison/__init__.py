"""Runs beside each other: paired differences, tests, learning curves, how many parts are needed."""
