"""A preview shows a message with what its author should look at."""

from __future__ import annotations

from tests.tracks.content.templates.template_examples import someone, whole
from tracks.content.rendering.preview import preview


class TestPreview:
    def test_it_tells_what_to_look_at(self) -> None:
        shown = preview(whole(), someone("fr", role="engineer"))
        assert shown.subject == "Hello"
        assert any("no variant for fr" in warning for warning in shown.warnings)
        assert any("contact.attributes.first_name is missing" in warning for warning in shown.warnings)

    def test_a_text_message_is_counted(self) -> None:
        shown = preview("İt is {{ contact.attributes.first_name | default: 'you' }}", someone())
        assert shown.segments and (shown.segments.number, shown.segments.encoding) == (1, "UCS-2")
        assert any("70 characters" in warning for warning in shown.warnings)
