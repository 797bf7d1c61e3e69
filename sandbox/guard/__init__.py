"""The Jupyter Server extension that is the one way into a kernel container."""
