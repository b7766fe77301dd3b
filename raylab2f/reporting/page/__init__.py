"""The page of a report: one file of HTML that needs nothing else, and the same as Markdown."""

from raylab2f.reporting.page.html import render_html
from raylab2f.reporting.page.markdown import render_markdown

__all__ = ["render_html", "render_markdown"]
