"""One module a theme: pages and API of the same things apart."""
