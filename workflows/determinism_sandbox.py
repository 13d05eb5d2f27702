"""The workflow sandbox, with the pure modules that workflow code computes with passed through.

What is not passed through is loaded anew for every run that a worker holds. `cel`, a native extension, fails from
the second run on unless it is passed through. `activities.contract` is the only module of its package that workflows
import. Workers pass the workflows themselves through as well, because to load them for every run costs CPU. They hold
no state, import nothing outside this list (the import rules see to that), and every test, replay and rehearsal runs
them inside the sandbox (`strict`), where reading the machine's clock, chance or files raises.
"""

from __future__ import annotations

from typing import Any

from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info

PASSED_THROUGH = ("cel", "pydantic", "tracks", "activities.contract")


class _Instance(WorkflowInstance):
    """A run whose payloads' contexts are answered outside the sandbox.

    The SDK asks for the context of each payload up to three times, and each time runs a compiled text in the sandbox,
    which costs CPU. Only a codec or an external storage that looks at contexts would use them, and Perennial has
    neither.
    """

    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed

    def activate(self, act: Any) -> Any:
        """See `WorkflowInstance`. Of a signal's values only the first is handed on: a handler takes one."""
        for job in act.jobs:
            if job.HasField("signal_workflow") and len(job.signal_workflow.input) > 1:
                del job.signal_workflow.input[1:]
        return self._sandboxed.activate(act)

    def get_serialization_context(self, command_info: object) -> None:
        """None: payloads are written and read without one."""

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        """That of nobody: there is no external storage."""
        return _NOBODY

    def get_info(self) -> Info:
        """See `WorkflowInstance`."""
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        """See `WorkflowInstance`; the report of a deadlock reads it."""
        return self._sandboxed.get_thread_id()


_NOBODY = StorageDriverStoreContext()


class _Runner(SandboxedWorkflowRunner):
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Instance(super().create_instance(det))


def runner(*, strict: bool = False) -> SandboxedWorkflowRunner:
    """The runner of every worker; the `strict` one loads all that workflows are made of inside the sandbox."""
    modules = PASSED_THROUGH if strict else (*PASSED_THROUGH, "workflows")
    return _Runner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*modules))
