"""The audit log, usable alone: never imports sandbox."""
