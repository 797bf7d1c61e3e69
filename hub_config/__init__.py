"""JupyterHub: its settings, log-in and spawner. Thin: the portal decides, the warden starts, stock parts do the rest."""
