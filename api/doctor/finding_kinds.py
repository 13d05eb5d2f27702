"""The kinds of findings: what each means and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding: what it means, what to do, and whether `--repair` does it."""

    title: str
    meaning: str
    advice: str
    repairs: bool = False


KINDS: Mapping[str, Kind] = {
    "no-leader": Kind(
        "No relay leads",
        "Nothing that the API accepts reaches Temporal, and no held click is told.",
        "Start a worker or a relay; look for `relay leads` in its log.",
    ),
    "other-temporal": Kind(
        "This Temporal is another installation's",
        "It has live runs, and none of them is of an enrolment of this database; none of the database's is there.",
        "Set TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE to what the workers of this database use, then look again. "
        "Nothing is called lost here, and `--lost` does nothing.",
    ),
    "runs-unreadable": Kind(
        "Runs that this command cannot read",
        "They are encrypted with a key that it was not given: nobody can tell here whose they are, or whether they are "
        "well. None of them is called lost.",
        "Set PERENNIAL_PAYLOAD_KEYS to what the workers have, all keys of it, then look again. Otherwise they are "
        "another installation's: give each a namespace of its own.",
    ),
    "outbox-late": Kind(
        "Deliveries wait too long",
        "Starts, events and ends were accepted, and Temporal has not had them yet.",
        "The reason says why. They are kept, and are delivered automatically once the cause is removed. A repair "
        "tries now.",
        repairs=True,
    ),
    "delivery-refused": Kind(
        "Deliveries that Temporal refuses for good",
        "They exceed a size limit of Temporal. They are set aside, so nothing waits for them. An enrolment whose "
        "start is refused has been closed as `exited`.",
        "Find out why something too large is accepted, then give them up with `--repair --refused drop`. If you have "
        "raised Temporal's limit, `--repair --refused again` delivers them and opens the enrolments again.",
    ),
    "run-full": Kind(
        "Runs that take no more signals",
        "One run of Temporal takes at most 10,000 signals. The worker makes it continue as new, and then it takes "
        "more. New signals wait until then.",
        "Check that its worker runs, with a current build: an older one never continues as new during a wait. As a "
        "last resort, `--repair --refused drop` terminates it and closes its enrolment, as `converted` if the goal was "
        "reached.",
    ),
    "lost-start": Kind(
        "Enrolments that nothing will start",
        "They were accepted, Temporal never had them, and no start waits in the outbox.",
        "A repair puts the start into the outbox again, or ends those whose goal or exit was reached meanwhile.",
        repairs=True,
    ),
    "run-ended": Kind(
        "Runs that are over while their enrolments live",
        "The run was terminated or failed, or the database was restored to an earlier time.",
        "A repair closes the enrolments: with the run's own result if it has one, else as `exited` with the reason.",
        repairs=True,
    ),
    "run-lost": Kind(
        "Runs that Temporal does not know",
        "Their histories were deleted, Temporal's store was lost, or this is another namespace than the workers'.",
        "Their progress is unknown, so you have to decide: `--repair --lost restart` starts them again (nothing is "
        "sent twice, but waits begin again and earlier events are not received), `--lost close` ends the enrolments.",
    ),
    "run-unended": Kind(
        "Runs that live on after their enrolments ended",
        "They cannot send anything, but use resources of Temporal.",
        "A repair asks them to end.",
        repairs=True,
    ),
    "run-unknown": Kind(
        "Runs of enrolments that this database does not have",
        "They are another installation's in the same namespace, or the database was restored to an earlier time.",
        "You have to decide: give each installation a namespace of its own, or terminate the runs in Temporal.",
    ),
    "run-deaf": Kind(
        "Runs that should have ended",
        "Their goal or exit was reached, but the signal about it was lost. They do not send anything.",
        "A repair sends the signal again.",
        repairs=True,
    ),
    "holds-nothing": Kind(
        "Runs that nothing will ever wake",
        "They hold neither a timer nor an activity nor a workflow task: law 7 is broken.",
        "This is a bug: keep the history and report it. `exit` ends such a run; `temporal workflow reset` may "
        "repair it.",
    ),
    "run-failing": Kind(
        "Runs whose code fails again and again",
        "The workers' code cannot replay their histories, or has a bug.",
        "Go back to the previous build. Then the runs continue automatically.",
    ),
    "no-worker": Kind(
        "Runs that no worker takes up",
        "Their next step has been waiting for a worker for minutes.",
        "Start workers, or more of them; with Worker Versioning, keep those of the old build until nothing is pinned.",
    ),
    "timer-late": Kind(
        "Timers that did not fire",
        "Temporal should have woken these runs long ago.",
        "Check Temporal's history service.",
    ),
    "activity-late": Kind(
        "Steps that are tried again and again",
        "Their activity keeps failing, or no worker takes it up. Nothing is lost: after three days the step fails.",
        "The reason has the provider's answer. Correct the cause, and the runs continue automatically.",
    ),
    "message-stuck": Kind(
        "Messages whose sending nobody finished",
        "They were claimed for a provider, and its answer was not stored.",
        "A repair asks the provider if that is possible, and counts the message as sent if the outcome stays unknown. "
        "A live run does this itself.",
        repairs=True,
    ),
    "message-undecided": Kind(
        "Messages that wait for a decision",
        "Nobody could find out whether they were sent, and the step says `review`.",
        "Decide each with the update `resolve_message` of its workflow.",
    ),
    "message-overdue": Kind(
        "Deferred messages whose turn is long past",
        "Their runs should have tried them again.",
        "Look at the run in Temporal: it is working, or it is among the findings above.",
    ),
    "message-flood": Kind(
        "Messages of which one address would have too many",
        "The policy limits the messages to one address in an hour or a day, and tracks want to send more, so these "
        "wait. Nearly always the cause is a loop: tracks enrol each other, or cause the event that starts them again.",
        "Look at the paths of these enrolments, and of the others of the same contacts. End the runs, hold the track "
        "or, if so many messages are intended, raise `breaker` in the policy.",
    ),
    "touch-late": Kind(
        "Held clicks and opens that nobody told",
        "The leading relay turns them into events when they are due.",
        "Look for `a touch cannot be told` in the relay's log.",
    ),
    "future-event-late": Kind(
        "Events whose time has come and nobody accepted",
        "They were told before they happened, and have no effect yet. Every worker looks each second.",
        "Check that workers run. Look for `events of the future are not accepted` in their logs.",
    ),
    "segment-late": Kind(
        "Members whose time has come and nobody looked",
        "They enter or leave a segment by time alone, and are not told yet. Every worker looks each second.",
        "Check that workers run. Look for `segments are not kept up to date` in their logs.",
    ),
    "segment-wrong": Kind(
        "Members that are not who the facts say",
        "A full evaluation of some contacts differs from what is stored: law 13 is broken.",
        "This is a bug: report it with the contact's events. `perennial segments check` compares all contacts. "
        "Publishing the segment with a changed description evaluates everybody anew.",
    ),
    "older-process": Kind(
        "Processes of an older release",
        "They do not know what this release stores. Where a date enrols, or a segment has a leaf that is newer than "
        "they are, they fail at changes of contacts.",
        "Replace them. Publish what is new in a release only when no older process runs.",
    ),
    "score-late": Kind(
        "Grades whose time has come and nobody looked",
        "They change by time alone, and are not told yet. Every worker looks each second.",
        "Check that workers run. Look for `segments are not kept up to date` in their logs.",
    ),
    "score-wrong": Kind(
        "Scores that are not what the facts say",
        "A full evaluation of some contacts differs from what is stored: law 13 is broken.",
        "This is a bug: report it with the contact's events. `perennial scores check` compares all contacts. "
        "Publishing the score with a changed description evaluates everybody anew.",
    ),
    "segment-webhook-paused": Kind(
        "Webhooks of segments that paused by themselves",
        "The receiver answered 410 (gone), or accepted nothing for a day. What changes waits: the newest state of each "
        "contact, so nothing is lost, and no more than one row of each contact is kept.",
        "Repair the receiver and call `perennial segments webhooks resume`, or `delete` it. If the receiver has lost "
        "what it was told, call `send-all`.",
    ),
    "segment-webhook-failing": Kind(
        "Webhooks of segments that accept nothing",
        "They are tried again, at most 15 minutes apart; after a day they pause by themselves.",
        "The reason says what the receiver answered. Nothing is lost.",
    ),
    "handoff-late": Kind(
        "Handoffs whose time to answer is over",
        "Nobody answered in time, and nothing has ended them: the run should have gone on without "
        "sales. If it has ended, every worker looks each half minute.",
        "Look at the run in Temporal, and check that workers run. `perennial handoffs accept` or `reject` ends one.",
    ),
    "handoff-unnamed": Kind(
        "Leads that wait for somebody who is gone",
        "The policy no longer names the salesperson or the team, so probably nobody looks at the task.",
        "Answer them with `perennial handoffs accept` or `reject`, or name the person again. Otherwise they expire.",
    ),
    "team-away": Kind(
        "Teams in which everybody is away",
        "Tracks hand no leads over to them: these take the way of `when_none`.",
        "Take away `away` of somebody in the policy, or add somebody.",
    ),
    "crm-task-late": Kind(
        "Tasks in HubSpot that do not show their answer",
        "Sales answered elsewhere, and HubSpot has not taken the update for half an hour. It is tried again, at most "
        "15 minutes apart. The runs have gone on.",
        "The finding has HubSpot's answer, if there was one. Check that workers run, and HubSpot's token and its "
        "scopes.",
    ),
    "breaker-open": Kind(
        "Open breakers",
        "They hold the messages of a track or a channel until somebody resumes them.",
        "Find the cause, then `perennial breakers resume`.",
    ),
    "counts-differ": Kind(
        "Temporal has fewer runs than there are live enrolments",
        "Some runs have disappeared.",
        "`perennial doctor` compares them one by one and names them.",
    ),
}
