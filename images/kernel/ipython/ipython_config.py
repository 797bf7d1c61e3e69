"""IPython's settings in the kernel, at /etc/ipython/ipython_config.py: `%%sql` from the start."""

c = get_config()  # noqa: F821 - IPython puts it there

c.InteractiveShellApp.extensions = ["datasandbox"]
c.HistoryManager.enabled = False  # the record is the history; a database in the workspace would only cost space
