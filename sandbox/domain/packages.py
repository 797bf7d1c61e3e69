"""Names and versions of packages as their ecosystems write them; whether one may be asked for is policy's (`sandbox.package`)."""

import re

NAME_LONGEST, VERSION_LONGEST = 100, 60


def normalised(ecosystem: str, name: str) -> str:
    """Return the name under which an ecosystem knows a package: PyPI's is that of PEP 503, Debian's is lower case."""
    return re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "pypi" else name.lower()
