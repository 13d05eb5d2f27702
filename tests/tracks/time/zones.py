"""All of IANA's zones, and moments, for tests of local time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

from tracks.time.local_time import is_zone

ZONES = sorted(name for name in available_timezones() if is_zone(name))
zones = st.sampled_from(ZONES)
instants = st.integers(1_104_537_600, 2_051_222_400).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)  # 2005-2034


def wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """The local time in the zone, without the zone itself."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
