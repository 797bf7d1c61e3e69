"""`%%sql` and `%sql`: the cell, or the rest of the line, is one statement; `%%sql name` also keeps the table under that name."""

from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class

from datasandbox._client import sql as run


@magics_class
class SqlMagic(Magics):
    """SQL in a cell."""

    @line_cell_magic
    def sql(self, line: str, cell: str | None = None) -> Any:
        """Run SQL on your datasets and show the table."""
        table = run(line if cell is None else cell)
        name = line.strip()
        if cell is not None and name.isidentifier() and self.shell is not None:
            self.shell.user_ns[name] = table
        return table


def register(shell: Any) -> None:
    """Make the magic known to this IPython."""
    shell.register_magics(SqlMagic)
