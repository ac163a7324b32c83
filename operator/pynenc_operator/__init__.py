"""The operator: watches MultiThreadRunner resources and keeps a pool of worker pods for each."""
