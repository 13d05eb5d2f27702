import pytest

from tests.tracks.examples import problems, with_steps


def complaints(steps: str) -> list[str]:
    return [problem.split(": ", 1)[1] for problem in problems(with_steps(steps))]


def test_every_way_that_ends_leaves_what_follows_unreachable_and_it_is_told_once() -> None:
    assert complaints("""
        - id: clicked
          wait_for:
            event: x
            within: 1d
            then: [{id: a, exit: {}}]
            else:
              - id: which
                branch: [{when: contact.has_phone, steps: [{id: b, exit: {}}]}]
                else: [{id: c, exit: {}}]
        - {id: lost, repeat: {times: 2, steps: [{id: inner, wait: 1d}]}}
        - {id: lost-too, wait: 1d}
    """) == ["step 'lost': no run can come here: every way before it ends in an exit"]


@pytest.mark.parametrize(
    "before",
    [
        "{id: a, wait_for: {event: x, within: 1d, then: [{id: b, exit: {}}]}}",
        "{id: a, branch: [{when: contact.has_phone, steps: [{id: b, exit: {}}]}]}",
        "{id: a, split: [{name: x, weight: 1, steps: [{id: b, exit: {}}]}, {name: y, weight: 1, steps: []}]}",
        "{id: a, wait_date: {attribute: x, missing: exit, past: exit}}",
    ],
)
def test_one_way_on_is_enough(before: str) -> None:
    assert complaints(f"- {before}\n- {{id: next, wait: 1d}}") == []


def test_a_repeat_that_always_exits_is_the_end() -> None:
    found = complaints(
        "- {id: r, repeat: {times: 3, steps: [{id: w, wait: 1d}, {id: e, exit: {}}]}}\n- {id: x, wait: 1d}"
    )
    assert found == ["step 'x': no run can come here: every way before it ends in an exit"]


def test_what_follows_a_message_is_a_way_of_its_own() -> None:
    assert complaints("""
        - id: hello
          sms: {text: hi}
          skipped: exit
          failed: {steps: [{id: call, crm: {note: call}}, {id: gone, exit: {}}, {id: lost, wait: 1d}]}
        - {id: a, wait_for: {event: x, within: 1d, since: hello}}
        - {id: b, wait_for: {event: x, within: 1d, since: call}}
    """) == [
        "step 'lost': no run can come here: every way before it ends in an exit",
        "step 'b': step 'call' cannot come before this one on any way through the track",
    ]


def test_a_wait_looks_back_only_to_a_step_that_can_have_been() -> None:
    found = complaints("""
        - id: which
          branch:
            - {when: contact.has_phone, steps: [{id: texted, sms: {text: hi}}]}
          else:
            - {id: other, wait_for: {event: x, within: 1d, since: texted}}
        - {id: fine, wait_for: {event: x, within: 1d, since: texted}}
        - {id: itself, wait_for: {event: x, within: 1d, since: itself}}
        - {id: ahead, wait_for: {event: x, within: 1d, since: last}}
        - {id: last, wait: 1d}
    """)
    assert found == [
        "step 'other': step 'texted' cannot come before this one on any way through the track",
        "step 'itself': step 'itself' cannot come before this one on any way through the track",
        "step 'ahead': step 'last' cannot come before this one on any way through the track",
    ]


def test_a_wait_is_about_the_message_of_a_step_that_sends_one_before_it() -> None:
    found = complaints("""
        - {id: texted, sms: {text: hi}}
        - {id: fine, wait_for: {event: sms.replied, of: texted, within: 1d}}
        - {id: misspelt, wait_for: {event: sms.replied, of: texte, within: 1d}}
        - {id: silent, wait_for: {event: sms.replied, of: fine, within: 1d}}
        - {id: other-channel, wait_for: {event: email.clicked, of: texted, within: 1d}}
        - {id: other-event, wait_for: {event: cart.bought, of: texted, within: 1d}}
        - {id: ahead, wait_for: {event: sms.replied, of: last, within: 1d}}
        - {id: last, sms: {text: bye}}
    """)
    assert found == [
        "step 'misspelt': there is no step 'texte'; did you mean 'texted'?",
        "step 'silent': step 'fine' sends no message",
        "step 'other-channel': the event 'email.clicked' is never about the message of step 'texted'",
        "step 'other-event': the event 'cart.bought' is never about the message of step 'texted'",
        "step 'ahead': step 'last' cannot come before this one on any way through the track",
    ]


def test_in_a_repeat_a_later_step_comes_before_in_the_next_round() -> None:
    assert (
        complaints("""
        - id: r
          repeat:
            times: 3
            steps:
              - {id: first, wait_for: {event: x, within: 1d, since: second}}
              - {id: second, wait: 1d}
    """)
        == []
    )


def test_conditions_read_only_steps_that_exist_and_can_have_been() -> None:
    found = complaints("""
        - id: early
          branch: [{when: 'enrollment.steps.clicked == "happened"', steps: []}]
        - {id: between, branch: [{when: 'enrollment.steps.erly == "took"', steps: []}]}
        - {id: clicked, wait_for: {event: x, within: 1d}}
        - id: late
          branch: [{when: 'enrollment.steps.clicked == "happened" && enrollment.steps["a-b"] == "x"', steps: []}]
    """)
    assert found == [
        "step 'early': step 'clicked' cannot come before this one on any way through the track",
        "step 'between': there is no step 'erly'; did you mean 'early'?",
        "step 'late': there is no step 'a-b'; known here: early, between, clicked, late",
    ]


def test_a_branch_reads_the_event_of_a_wait_before_it_and_names_the_properties() -> None:
    found = complaints("""
        - id: early
          branch: [{when: event.properties.plan == "team", steps: []}]
        - {id: clicked, wait_for: {event: x, within: 1d}}
        - id: late
          branch:
            - {when: event.properties.plan == "team" || event.name == "x", steps: []}
            - {when: size(event.properties) > 1, steps: []}
    """)
    assert found == [
        "step 'early': reads `event`, but no wait_for or handoff comes before this branch",
        "step 'late': must name the properties it reads, such as event.properties.plan",
    ]


def test_what_somebody_else_does_with_a_message_is_no_event_of_the_contact() -> None:
    steps = """
        - {id: told, sms: {text: x, to: {attribute: owner_phone}}}
        - {id: answered, wait_for: {event: sms.replied, of: told, within: 1d}}
    """
    assert complaints(steps) == [
        "step 'answered': the message of step 'told' goes to somebody else: what they do is no event of the contact"
    ]
