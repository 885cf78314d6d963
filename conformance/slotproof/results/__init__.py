"""``results.jsonl``: the one record of a run, from which every output is made."""
