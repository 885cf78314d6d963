"""Fault injection: how long writers cannot write when a primary dies, hangs or hands slots over."""
