"""What a user asks for, from beginning to end: cross-validation, diagnosis, forecasts, experiments, tracking."""
