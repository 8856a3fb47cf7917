"""From one result file per language to the table and the answer."""
