"""What surrounds a run and its jobs: fork server, run lock, adoption, weight leases, usage."""
