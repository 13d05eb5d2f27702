"""The documents of the benchmarks: the policy, the template, and the track that most of them use."""

from __future__ import annotations

from bench.installation.one_process import Installation

POLICY = """
topics:
  tips: {name: Tips, description: How to get more out of it.}
caps:
  - {most: 10, per: 1d}
"""
MAIL = """---
kind: email
subject: Hello
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>Hello {{ contact.attributes.first_name | default: "there" }}.
<a href="https://acme.test/start">Start</a> <a href="{{ unsubscribe_url }}">No more of these</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""


def click_track(name: str, patience: float) -> str:
    """Email, wait `patience` seconds for a click, email: the same shape as `bench.bare.workflow.BareTrack`."""
    return f"""
track: {name}
defaults: {{sending: {{topic: tips}}, email: {{from: 'Ada <ada@acme.test>'}}}}
steps:
  - {{id: hello, email: {{template: hello, subject: Hello (hello)}}}}
  - {{id: click, wait_for: {{event: site.clicked, since: hello, within: {patience:.0f}s}}}}
  - id: which
    branch:
      - when: 'enrollment.steps.click == "happened"'
        steps: [{{id: thanks, email: {{template: hello, subject: Hello (thanks)}}}}]
    else: [{{id: reminder, email: {{template: hello, subject: Hello (reminder)}}}}]
"""


def waiting_track(name: str) -> str:
    """Wait 30 days for a click, then email."""
    return f"""
track: {name}
defaults: {{sending: {{topic: tips}}, email: {{from: 'Ada <ada@acme.test>'}}}}
steps:
  - {{id: click, wait_for: {{event: site.clicked, within: 30d, else: [{{id: silent, exit: {{reason: silent}}}}]}}}}
  - {{id: thanks, email: {{template: hello, subject: Hello ({name})}}}}
"""


async def publish(installation: Installation, **tracks: str) -> None:
    """Publish the policy, the template and these tracks, by name."""
    answer = await installation.api.put("/v1/policy", content=POLICY, headers={"Content-Type": "application/yaml"})
    answer.raise_for_status()
    await installation.publish("hello", MAIL, "templates")
    for name, text in tracks.items():
        await installation.publish(name, text)
