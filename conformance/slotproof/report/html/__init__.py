"""The HTML report: one file, no request to anywhere, readable without JavaScript."""

from slotproof.report.html.page import render

__all__ = ["render"]
