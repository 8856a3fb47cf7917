"""intermezzo: intermediate-task training on language mixes, and what it does for rare languages."""

__version__ = "0.2.0"
