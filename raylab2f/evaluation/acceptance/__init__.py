"""May the model decide? Limits on its rates, and whether the data show that they are kept."""
