"""The gateway: S3's protocol on a Function URL."""

from nearside import settings
from nearside.gateway_assembly import GatewayParts

_settings = settings.load(needs=("TABLE", "BACKENDS", "GATEWAY_QUEUE_URL", "GATEWAY_SECRET"))

handler = GatewayParts(_settings).front()
