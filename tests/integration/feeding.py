"""A catalog that is told of every event of the world, at once and in this process."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from local.world import World
from nearside.catalog import Catalog
from nearside.s3_events import read


@contextlib.contextmanager
def feeding(world: World, catalog: Catalog) -> Iterator[None]:
    """Tells the catalog of what happens in the world meanwhile."""
    places = {bucket: region for region, bucket in world.buckets.items()}

    def hear(record: Any) -> None:
        for event in read(json.dumps({"Records": [record]}), places).events:
            catalog.apply(event)

    world.events.listeners.append(hear)
    try:
        yield
    finally:
        world.events.listeners.remove(hear)
