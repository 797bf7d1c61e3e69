"""One module for each outside part; each with a fake for unit tests."""
