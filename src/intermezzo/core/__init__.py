"""The base of all other packages: errors, artifacts, logs, environment, memoize."""
