"""One file per question of the report."""
