"""The long run: random load and random faults on a real cluster, then rest, at which nothing may be left."""
