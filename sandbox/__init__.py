"""Data Sandbox: a secure sandbox for conditional public data."""
