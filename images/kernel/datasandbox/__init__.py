"""The data sandbox, for researchers: `import datasandbox as ds`.

ds.info()                       which data you have, how it is accessed, what was done to each column, days left
ds.sql("SELECT … FROM flights") a pandas table; `%%sql` as a cell's first line does the same
ds.load("flights", columns=…, limit=…)
ds.show_again()                 output over the display budget that was not shown, without computing it again; ds.show_again(12) that of cell [12]
ds.check(files)                 what would keep these files from leaving
ds.export(files, title, context)
"""

from datasandbox._client import Info, Report, check, export, info, load, show_again, sql
from datasandbox._door import SandboxError

__all__ = ["Info", "Report", "SandboxError", "check", "export", "info", "load", "show_again", "sql"]


def load_ipython_extension(shell: object) -> None:
    """Register `%%sql` and `%sql`; IPython calls this at start (ipython_config.py)."""
    from datasandbox._magic import register  # noqa: PLC0415 - only inside IPython

    register(shell)
