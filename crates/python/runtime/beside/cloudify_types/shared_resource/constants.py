"""The constants of shared resources."""

# How many seconds a workflow of another deployment may take.
WORKFLOW_EXECUTION_TIMEOUT = 1800
