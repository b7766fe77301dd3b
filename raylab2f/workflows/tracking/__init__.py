"""Where else a run's figures are recorded: MLflow, TensorBoard."""
