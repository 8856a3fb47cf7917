"""What people ask for by hand, beside the stages that the workflow runs. Each command is one function."""
