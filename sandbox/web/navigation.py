"""What is in the bar at the top: only what the person's roles have a use for. Policy decides; this is convenience."""

from dataclasses import dataclass

from sandbox.domain.actor import Actor
from sandbox.domain.states import Role
from sandbox.web.i18n import N_


@dataclass(frozen=True)
class Item:
    """A link of the bar; `here` when the page is below it."""

    path: str
    label: str
    here: bool = False


_EVERYONE: tuple[Role, ...] = tuple(Role)
ITEMS: tuple[tuple[str, str, tuple[Role, ...]], ...] = (
    ("/", N_("待办"), _EVERYONE),
    ("/datasets", N_("数据目录"), _EVERYONE),
    ("/projects", N_("项目"), (Role.RESEARCHER,)),
    ("/applications", N_("申请"), (Role.RESEARCHER, Role.STEWARD)),
    ("/agreements", N_("协议"), (Role.RESEARCHER, Role.STEWARD, Role.ADMINISTRATOR, Role.OFFICER, Role.AUDITOR)),
    ("/sandboxes", N_("沙箱"), (Role.RESEARCHER, Role.ADMINISTRATOR)),
    ("/exports", N_("导出"), (Role.RESEARCHER, Role.REVIEWER)),
    ("/display", N_("显示额度"), (Role.RESEARCHER, Role.STEWARD, Role.OFFICER)),
    ("/packages", N_("软件包"), (Role.RESEARCHER, Role.ADMINISTRATOR)),
    ("/people", N_("人员与机构"), (Role.ADMINISTRATOR, Role.OFFICER, Role.AUDITOR)),
    ("/audit", N_("审计"), (Role.AUDITOR,)),
)


def navigation(actor: Actor, here: str) -> list[Item]:
    """Return the links for an actor; the one whose page this is, or is below, is marked."""
    return [
        Item(path, label, here=here == path or (path != "/" and here.startswith(f"{path}/")))
        for path, label, roles in ITEMS
        if path in {"/", "/datasets"} or any(actor.has(role) for role in roles)
    ]
