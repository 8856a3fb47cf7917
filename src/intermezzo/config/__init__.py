"""The configuration: typed models, loading, and checks that report every problem at once."""

from intermezzo.config.load import listed, load, merge, parse, read
from intermezzo.config.models import Config

__all__ = ["Config", "listed", "load", "merge", "parse", "read"]
