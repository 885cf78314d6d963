"""What slotproof puts into foreign environments: standard library only, Python 3.11 to 3.14.

This folder itself goes on the PYTHONPATH of the environment in which a suite runs, so each module
here is importable there by its bare name (``slotproof_recorder``); the harness imports the same
files as ``slotproof.inject.*``.
"""
