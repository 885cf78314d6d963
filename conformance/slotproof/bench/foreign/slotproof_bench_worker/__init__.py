"""One subject of a benchmark, in a process and an environment of its own.

Standard library and the client under test only: this package runs in foreign environments, found
through ``PYTHONPATH``. ``python -m slotproof_bench_worker`` reads requests from its standard input
and writes answers to its standard output, one JSON object a line; see ``__main__``.
"""
