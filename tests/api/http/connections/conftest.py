"""An API with few places, so that a few connections could take them all."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from api.app import create_app
from settings import Settings
from store.engine.database import Database


@pytest.fixture
def app(settings: Settings, db: Database) -> FastAPI:
    """An API with only the places of one body of 1 MiB."""
    return create_app(settings.model_copy(update={"requests_at_once": 32}), db)
