"""Runs cells: what is to run (plan), what it needs (prepare), in which order, with what progress."""
