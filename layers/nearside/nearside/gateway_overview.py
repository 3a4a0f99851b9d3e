"""What the operators' routes show of the gateway, put together from the settings."""

from collections.abc import Mapping, Sequence

from nearside.adapters.gateway_work import GatewayWork
from nearside.gateway import backends, place_states
from nearside.gateway.copy_lists import CopyLists
from nearside.gateway.spreading import Spreader
from nearside.gateway_assembly import GatewayParts
from nearside.health import Backend
from nearside.settings import Settings


class GatewayOverview:
    """Its places and copies. Raises BadSettings for what is wrong in BACKENDS, naming the field."""

    def __init__(self, settings: Settings) -> None:
        parts = GatewayParts(settings)
        self._configuration = backends.parse(settings.backends)
        self._records = parts.records
        self._spread = Spreader(parts.places)
        self.copies = CopyLists(parts.places.names, GatewayWork(parts.wire), parts.records)

    def states(self) -> Mapping[str, str]:
        """The places' states in words, by name."""
        return place_states.states(self._spread, self._records)

    def backends(self) -> Sequence[Backend]:
        """Every configured place with its state, the primary first."""
        return place_states.listed(self._configuration, self.states())
