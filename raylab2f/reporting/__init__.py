"""What people look at: progress, tables."""

from raylab2f.reporting.progress import Display
from raylab2f.reporting.tables import print_findings, print_forecasts, print_summary

__all__ = ["Display", "print_findings", "print_forecasts", "print_summary"]
