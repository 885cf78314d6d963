"""Runs cells: what is to run, what that needs, side by side, with progress."""
