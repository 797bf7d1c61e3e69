# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""Which notebook uses which kernel (Jupyter's `sessions`), noted so that a session that was killed still knows it."""

from typing import Any

from jupyter_server.services.sessions.sessionmanager import SessionManager

from sandbox.guard.guard import Guard

ROW = ("path", "name", "type", "kernel_id")


class SandboxSessions(SessionManager):
    """Jupyter Server's own manager, its rows in the journal as well: JupyterLab gives a kernel up when its session is not listed."""

    def _note(self, session_id: str) -> None:
        found = self.cursor.execute("SELECT path, name, type, kernel_id FROM session WHERE session_id=?", (session_id,)).fetchone()
        if found is None:
            Guard.current().memory.note(notebook_gone=session_id)
        else:
            Guard.current().memory.note(notebook=session_id, **dict(zip(ROW, tuple(found), strict=True)))

    async def save_session(self, session_id: str, **row: Any) -> Any:
        """Save, and note."""
        model = await super().save_session(session_id, **row)
        self._note(session_id)
        return model

    async def update_session(self, session_id: str, **row: Any) -> None:
        """Change, and note."""
        await super().update_session(session_id, **row)
        self._note(session_id)

    async def delete_session(self, session_id: str) -> None:
        """Delete, and note."""
        await super().delete_session(session_id)
        self._note(session_id)

    async def take_up(self, session_id: str, row: dict[str, Any]) -> None:
        """List a notebook of this session's killed process again, under the id that JupyterLab knows."""
        await super().save_session(session_id, **{name: row.get(name) for name in ROW})
