"""The acts of the portal, one name each; who may do what is decided by policy (`policies/portal`), nowhere else.

`sandbox.portal` is asked with `{"act", "person", "resource"}`. The facts a resource may carry:
`body` (code of the owner body), `author` (login of who asked for the thing), `members` (logins of the project's members),
`subject` (login the act is about), `side` (`owner` or `user`, when signing).
"""

from enum import StrEnum


class Permission(StrEnum):
    """An act, `scope:act`."""

    BODY_CREATE = "body:create"
    PERSON_CREATE = "person:create"
    PERSON_DEACTIVATE = "person:deactivate"
    PERSON_READ = "person:read"
    ROLE_REQUEST = "role:request"
    ROLE_CONFIRM = "role:confirm"
    ROLE_END = "role:end"
    DATASET_READ = "dataset:read"
    DATASET_REGISTER = "dataset:register"
    DATASET_IMPORT = "dataset:import"
    DATASET_CLASSIFY = "dataset:classify"
    DATASET_PUBLISH = "dataset:publish"
    PROJECT_CREATE = "project:create"
    PROJECT_READ = "project:read"
    PROJECT_ADD_MEMBER = "project:add_member"
    APPLICATION_WRITE = "application:write"
    APPLICATION_SUBMIT = "application:submit"
    APPLICATION_READ = "application:read"
    APPLICATION_ASSESS = "application:assess"
    AGREEMENT_READ = "agreement:read"
    AGREEMENT_SIGN = "agreement:sign"
    AGREEMENT_REVOKE = "agreement:revoke"
    AGREEMENT_HOLD = "agreement:hold"
    HOLD_LIFT = "hold:lift"
    SANDBOX_READ = "sandbox:read"
    SANDBOX_OPEN = "sandbox:open"
    SANDBOX_CLOSE = "sandbox:close"
    EXPORT_READ = "export:read"
    EXPORT_REVIEW = "export:review"
    EXPORT_RELEASE = "export:release"
    EXPORT_DOWNLOAD = "export:download"
    DISPLAY_ASK = "display:ask"
    DISPLAY_READ = "display:read"
    DISPLAY_DECIDE = "display:decide"
    DISPLAY_WITHDRAW = "display:withdraw"
    DISPLAY_REVOKE = "display:revoke"
    PACKAGE_ASK = "package:ask"
    PACKAGE_READ = "package:read"
    PACKAGE_DECIDE = "package:decide"
    AUDIT_READ = "audit:read"
