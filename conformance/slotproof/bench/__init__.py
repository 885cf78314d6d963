"""The benchmark: several clients on one cluster, paired and alternating, against one control."""
