"""The node agent: starts, freezes and ends kernel and data containers from signed specs."""
