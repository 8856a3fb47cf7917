"""The cluster that these tests run on, and why they do not where it cannot be."""

import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]  # cluster.py; checkout.py

import cluster as slurm  # noqa: E402


@pytest.fixture(scope="session")
def cluster():
    """A Slurm on loopback, on request only: it takes minutes and, while it runs, /etc/slurm."""
    if os.environ.get("INTERMEZZO_TEST_SLURM") != "1":
        pytest.skip("a Slurm is started on request: make test-slurm")
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the executor for Slurm is not installed")
    if reason := slurm.obstacle():
        pytest.skip(reason)
    with slurm.running() as running:
        yield running
