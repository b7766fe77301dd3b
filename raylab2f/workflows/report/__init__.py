"""From a run's folder to what its page shows; `raylab2f.reporting.page` draws it."""
