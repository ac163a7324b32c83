"""Tests of pynenc-operator, and the cluster they run on."""
