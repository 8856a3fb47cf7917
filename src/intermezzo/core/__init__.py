"""The ground that every other room stands on: errors, artifacts, environment, memoize."""
