"""Import, preparation and output checks: what runs in one-shot data containers (no network, no token).

`rules`, `linked`, `tabular` and `classify` are pure functions on tables and texts; `engine`, `importing`, `preparing`, `package` read and write files.
"""
