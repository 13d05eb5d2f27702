"""All tables, as SQLAlchemy Core sees them. `migrations/` creates them; a test checks that both agree.

No row of a message, an event or an enrolment holds an address. Addresses are in `contact` alone, and a suppression or a
message keeps only a hash. There are no foreign keys to `contact`, because erasing a contact deletes its row there and
keeps the counts.
"""

from __future__ import annotations

from store.schema.tables import (  # noqa: F401
    audience_tables,
    crm_tables,
    event_tables,
    handoff_tables,
    import_tables,
    merge_tables,
    operations_tables,
    people_tables,
    published_tables,
    run_tables,
    score_tables,
    segment_webhook_tables,
    sending_tables,
)
from store.schema.tables.columns import metadata as metadata
