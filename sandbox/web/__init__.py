"""The portal: FastAPI pages and API; thin views."""
