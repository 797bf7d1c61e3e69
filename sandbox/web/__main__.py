"""`python -m sandbox.web`: the portal."""

from sandbox.web.serve import main

main()
