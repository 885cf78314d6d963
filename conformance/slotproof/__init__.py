"""slotproof: proof, not claims, that a library works on a Valkey or Redis cluster."""

__version__ = "0.1.0"
