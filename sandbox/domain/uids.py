"""The one table of fixed uids; each gid equals its uid (interfaces.md, 1)."""

UIDS = {
    "log": 1101,
    "portal": 1102,
    "hub": 1103,
    "opa": 1104,
    "proxy": 1105,
    "session": 1200,
    "kernel": 1300,
    "data": 1400,
}
