"""What people look at: progress, tables."""

from raylab2f.reporting.progress import Display
from raylab2f.reporting.tables import print_findings, print_forecasts, print_summary
from raylab2f.reporting.whole_tables import print_table

__all__ = ["Display", "print_findings", "print_forecasts", "print_summary", "print_table"]
