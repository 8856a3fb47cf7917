"""The configuration: typed models, loading, and checks that report every problem at once."""

from intermezzo.config.load import load, merge, parse
from intermezzo.config.models import Config

__all__ = ["Config", "load", "merge", "parse"]
