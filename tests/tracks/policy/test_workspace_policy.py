import pytest

from tracks.policy.workspace_policy import NO_POLICY, parse_policy, policy_from_data, policy_to_data
from tracks.shared.problems import TrackProblems

WHOLE = """
topics:
  product-tips: {name: Product tips, names: {de: Produkttipps}}
  newsletter: {name: Newsletter, opt_in: double}
channels:
  sms: {opt_in: explicit, quiet_hours: {from: '20:00', to: '08:00'}}
caps:
  - {most: 1, per: 1d, channel: sms}
  - {most: 4, per: 7d}
  - {most: 2, per: 12h, topic: newsletter}
breaker: {bounces: 0.02, least: 50}
"""


def test_a_policy_survives_being_written_as_data() -> None:
    policy = parse_policy(WHOLE)
    assert policy_from_data(policy_to_data(policy)) == policy
    assert [str(cap) for cap in policy.caps] == ["sms 1 per 1d", "all 4 per 7d", "newsletter 2 per 12h"]
    assert policy_to_data(NO_POLICY) == {}


def test_everything_wrong_is_said_at_once_with_its_line() -> None:
    text = """
topics: {news: {nam: x}, Bad: {name: y}}
channels: {sms: {quiet_hours: {from: '22:00', to: '22:00'}}, fax: {}}
caps:
  - {most: 0, per: 7}
  - {most: 2, per: 800d, topic: newz}
breaker: {bounces: 3}
"""
    with pytest.raises(TrackProblems) as error:
        parse_policy(text, "p.yaml")
    assert str(error.value).splitlines() == [
        "p.yaml:2: 'name' is missing: what the contact reads on the preference page",
        "p.yaml:2: Bad: 'Bad' should be lower-case letters, digits and -, at most 63, such as day-10",
        "p.yaml:2: unknown key 'nam'; did you mean 'name'?",
        "p.yaml:3: quiet_hours: begins and ends at the same time, which would be all day or never",
        "p.yaml:3: unknown key 'fax'; known here: email, sms",
        "p.yaml:5: most: '0' should be greater than or equal to 1",
        "p.yaml:5: per: needs a unit, such as 90s, 15m, 36h, 2d or 1w; did you mean 7d?",
        "p.yaml:6: per: looks back further than 366 days",
        "p.yaml:6: topic: there is no topic 'newz'; did you mean 'news'?",
        "p.yaml:7: bounces: '3' should be less than or equal to 1",
    ]


@pytest.mark.parametrize("text", ["", "[]", "a: &x {}", "topics: 5", "caps: {}", "\x00", "{" * 300])
def test_nonsense_is_refused_in_words(text: str) -> None:
    with pytest.raises(TrackProblems):
        parse_policy(text)
