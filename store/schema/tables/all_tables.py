"""All tables, as SQLAlchemy Core sees them. `migrations/` creates them; a test checks that both agree.

No row of a message, an event or an enrolment holds an address. Addresses are in `contact` alone, and a suppression or a
message keeps only a hash. There are no foreign keys to `contact`, because erasing a contact deletes its row there and
keeps the counts.
"""

from __future__ import annotations

from store.schema.tables import operations_tables, published_tables, sending_tables  # noqa: F401
from store.schema.tables.audience import audience_tables, score_tables, segment_webhook_tables  # noqa: F401
from store.schema.tables.columns import metadata as metadata
from store.schema.tables.people import crm_tables, handoff_tables, merge_tables, people_tables  # noqa: F401
from store.schema.tables.runs import event_tables, import_tables, run_tables  # noqa: F401
