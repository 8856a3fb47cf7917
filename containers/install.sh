#!/bin/sh
# What both images do: install the packages of the environment, at the versions of constraints.txt, without the project
# itself. Its code is beside the Snakefile that runs, so that no image can run other code than was planned.
# Needs pyproject.toml, constraints.txt and src/intermezzo/__init__.py in the working folder. TORCH=cpu takes PyTorch's
# CPU build, as `make env TORCH=cpu` does.
set -eu
case "${TORCH:-}" in
"") pip install --no-cache-dir torch -c constraints.txt ;;
cpu)
    pip install --no-cache-dir torch -c constraints.txt --no-deps \
        --index-url "${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}"
    ;;
*)
    echo "error: TORCH=$TORCH: give cpu, or leave it out for the build on PyPI" >&2
    exit 1
    ;;
esac
pip install --no-cache-dir '.[real,cluster]' -c constraints.txt
pip uninstall --yes intermezzo
