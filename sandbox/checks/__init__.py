"""What runs in a data container: import, release preparation, output checks."""
