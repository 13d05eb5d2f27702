"""The workflow sandbox, with the pure modules that workflow code computes with passed through.

What is not passed through is loaded anew for every run that a worker holds. `cel`, a native extension, fails from
the second run on unless it is passed through. `activities.contract` is the only module of its package that workflows
import. Workers also pass the workflows' own helpers through, which makes a run's first task 2.4 ms of CPU cheaper
(measured); they hold no state, and the tests run them all inside the sandbox (`strict`).
"""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH = ("cel", "pydantic", "tracks", "activities.contract", "workflows.memory")
HELPERS = tuple(
    f"workflows.{name}"
    for name in ("calls", "context", "details", "effects", "policies", "search_attributes", "sending", "steps")
)


def runner(*, strict: bool = False) -> SandboxedWorkflowRunner:
    """The runner of every worker; the `strict` one loads all that workflows are made of inside the sandbox."""
    modules = PASSED_THROUGH if strict else PASSED_THROUGH + HELPERS
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*modules))
