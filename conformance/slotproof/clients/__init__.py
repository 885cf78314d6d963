"""Clients: what slotproof can run suites through. A client is data (see ``plugin.Client``)."""
