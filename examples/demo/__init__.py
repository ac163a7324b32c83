"""`make demo`: a pool of pods that follows its queue on a real cluster, and comes back to zero."""
