"""The worker as a process, on a real Redis or SQLite, against a real API server.

A pod object and a token bound to it are real; only the kubelet is not there. What it would mount is
written by `pod.py`, as the kubelet writes it.
"""
