"""The session's server: JupyterHub's single-user server with the guard. Command: `jupyterhub-singleuser`.

This directory is /etc/jupyter in the image; `labconfig/` says which parts of JupyterLab are off and its settings. No file of the person is read (`JUPYTERHUB_DISABLE_USER_CONFIG=1`).
"""

from sandbox.guard.authorizer import log_request

c = get_config()  # noqa: F821 - Jupyter puts it there

# The guard or no server: a failing extension must not leave an open one behind.
c.ServerApp.jpserver_extensions = {
    "sandbox.guard.app": True,
    "jupyterlab": True,
    "jupyter_lsp": False,
    "jupyter_server_terminals": False,
    "notebook_shim": False,
}
c.ServerApp.reraise_server_extension_failures = True
c.ServerApp.authorizer_class = "sandbox.guard.authorizer.SandboxAuthorizer"
c.ServerApp.allow_unauthenticated_access = False
c.ServerApp.default_url = "/lab"
c.ServerApp.log_level = "WARN"
c.ServerApp.tornado_settings = {
    "log_function": log_request,
    "websocket_max_message_size": 4 * 1024 * 1024,  # of fragments too; policy takes 1 MiB
    "compress_response": True,
}
c.ServerApp.max_body_size = 36 * 1024 * 1024  # 24 MiB in base64, with room
c.ServerApp.max_buffer_size = 36 * 1024 * 1024

# Kernels live in the other container; there is none here.
c.ServerApp.kernel_manager_class = "sandbox.guard.kernels.SandboxKernels"
c.SandboxKernels.kernel_manager_class = "sandbox.guard.kernels.SandboxKernelManager"
c.SandboxKernels.buffer_offline_messages = False  # a hostile kernel could fill this process's memory
c.ServerApp.kernel_spec_manager_class = "sandbox.guard.provisioner.SandboxKernelSpecs"
c.KernelProvisionerFactory.default_provisioner_name = "datasandbox-provisioner"
c.ServerApp.kernel_websocket_connection_class = "sandbox.guard.channels.SandboxConnection"
c.SandboxConnection.iopub_data_rate_limit = 0  # the allowance per cell takes its place

# Files are the other container's; nothing is kept here.
c.ServerApp.contents_manager_class = "sandbox.guard.contents.SandboxContents"
c.ServerApp.terminals_enabled = False
c.NotebookNotary.db_file = ":memory:"
c.ServerApp.session_manager_class = "sandbox.guard.notebooks.SandboxSessions"
c.SandboxSessions.database_filepath = ":memory:"

# Who signs in is asked anew every few seconds, and a token in a URL is no sign-in.
c.HubAuth.cache_max_age = 10
c.HubOAuth.cache_max_age = 10
c.HubAuth.allow_token_in_url = False
c.HubOAuth.allow_token_in_url = False

c.LabApp.news_url = ""
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
c.LabServerApp.notebook_starts_kernel = True
