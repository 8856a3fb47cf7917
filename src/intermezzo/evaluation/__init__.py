"""Prediction, retrieval and metrics: from a model folder to scores per language."""
