"""An email with blocks in three languages, and the contacts who read it."""

from __future__ import annotations

from typing import Any

from tracks.content.rendering.message_context import MessageContext
from tracks.content.templates.template import parse_template
from tracks.content.templates.template_model import Template

ENGLISH = """---
kind: email
locale: en
subject: '{{ blocks.greeting }}'
preheader: Soon
variables:
  cta: {default: Go}
blocks:
  greeting:
    - {name: shop, when: 'contact.attributes.industry == "retail"', text: Your shop}
    - {name: clicked, when: 'enrollment.steps.hello == "happened"', text: You clicked}
    - else: Hello
  proof:
    - name: engineer
      when: contact.attributes.role == "engineer"
      text: |-
        <mj-text>Numbers for
        {{ contact.attributes.first_name | default: "you" }}</mj-text>
    - name: rich
      when: contact.attributes.score > 5
      text: <mj-text>Rich</mj-text>
    - else: ''
---
<mjml><mj-body><mj-section><mj-column>
{{ blocks.proof }}
<mj-text>{{ cta }} <a href="{{ unsubscribe_url }}">Leave</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
BODY = ENGLISH.split("---\n")[2]
GERMAN = f"""---
subject: '{{{{ blocks.greeting }}}}'
variables:
  cta: {{default: Los}}
blocks:
  greeting: {{shop: Ihr Laden, clicked: Sie haben geklickt, else: Hallo}}
  proof: {{engineer: <mj-text>Zahlen</mj-text>, rich: <mj-text>Reich</mj-text>}}
---
{BODY.replace("Leave", "Abmelden")}"""
ARABIC = GERMAN.replace("Abmelden", "إلغاء").replace("Hallo", "مرحبا")


def whole() -> Template:
    return parse_template(ENGLISH, {"de": GERMAN, "ar": ARABIC})


def someone(locale: str | None = None, **attributes: Any) -> MessageContext:
    contact = {"id": "c-1", "email": "a@b.test", "phone": None, "locale": locale, "attributes": attributes}
    return MessageContext(contact, {"id": "e-1", "track": "t", "version": 1, "properties": {}}, {}, "https://x.test/u")
