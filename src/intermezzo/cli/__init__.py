"""The command line: `intermezzo`; stages are what rules run, commands what people ask for."""
