"""The process inside a worker pod: one pynenc ThreadRunner that drains, reports and recovers."""
