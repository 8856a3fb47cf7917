"""The command line: `python -m intermezzo`; stages are what rules run, commands what people ask for."""
