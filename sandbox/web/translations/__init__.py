"""The English texts, and the check that none is missing (`python -m sandbox.web.translations check`)."""
