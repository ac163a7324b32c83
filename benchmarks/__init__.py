"""What the operator costs and how fast it is, measured beside KEDA on the same cluster: `make bench NAME=reaction`."""
