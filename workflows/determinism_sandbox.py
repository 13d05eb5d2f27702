"""The workflow sandbox, and the modules that are passed through it.

Temporal loads a module that is not passed through again for every run that a worker holds. `cel` is a native extension
that fails from the second run on unless it is passed through. `activities.contract` is the only module of its package
that workflows import.

Workers pass the workflows themselves through too, because loading them for every run costs CPU. This is safe: the
workflows keep no state, they import nothing outside this list (the import rules check it), and every test, replay and
rehearsal runs them inside the sandbox (`strict`), where reading the machine's clock, chance or files raises.
"""

from __future__ import annotations

from typing import Any

from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info

PASSED_THROUGH = ("cel", "pydantic", "tracks", "activities.contract")


class _Instance(WorkflowInstance):
    """A run in the sandbox, whose serialization contexts are answered outside it.

    The SDK asks for the context of each payload up to three times. Each time it runs compiled code in the sandbox,
    which costs CPU. Only a codec or an external storage uses such contexts, and Perennial has neither.
    """

    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed

    def activate(self, act: Any) -> Any:
        """See `WorkflowInstance`. Only the first argument of a signal is passed on, because a handler takes one."""
        for job in act.jobs:
            if job.HasField("signal_workflow") and len(job.signal_workflow.input) > 1:
                del job.signal_workflow.input[1:]
        return self._sandboxed.activate(act)

    def get_serialization_context(self, command_info: object) -> None:
        """None: payloads are converted without a context."""

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        """An empty context: there is no external storage."""
        return _NO_CONTEXT

    def get_info(self) -> Info:
        """See `WorkflowInstance`."""
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        """See `WorkflowInstance`; the report of a deadlock reads it."""
        return self._sandboxed.get_thread_id()


_NO_CONTEXT = StorageDriverStoreContext()


class _Runner(SandboxedWorkflowRunner):
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Instance(super().create_instance(det))


def runner(*, strict: bool = False) -> SandboxedWorkflowRunner:
    """The workflow runner of every worker. The `strict` one loads the modules of `workflows/` inside the sandbox."""
    modules = PASSED_THROUGH if strict else (*PASSED_THROUGH, "workflows")
    return _Runner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*modules))
