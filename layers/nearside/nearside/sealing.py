"""Text that a client gives back unchanged: sealed, so that nobody can make one up or change it."""

import base64
import binascii
import hashlib
import hmac

_SEAL_BYTES = 16


class NotOurs(ValueError):
    """Text that this seal did not make."""


class Seal:
    """Seals with HMAC-SHA256, cut to 128 bits (RFC 2104, section 5); `purpose` keeps seals of one key apart."""

    def __init__(self, key: bytes, purpose: str) -> None:
        self._key = key
        self._purpose = purpose.encode() + b"\0"

    def sealed(self, plain: bytes) -> str:
        """The bytes as URL-safe text. They can be read by whoever has it."""
        return base64.urlsafe_b64encode(self._seal(plain) + plain).decode().rstrip("=")

    def opened(self, text: str) -> bytes:
        """The bytes that `sealed` was given. Raises NotOurs for anything else."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise NotOurs("it is not one of ours") from error
        if not hmac.compare_digest(raw[:_SEAL_BYTES], self._seal(raw[_SEAL_BYTES:])):
            raise NotOurs("it is not one of ours")
        return raw[_SEAL_BYTES:]

    def _seal(self, plain: bytes) -> bytes:
        return hmac.digest(self._key, self._purpose + plain, hashlib.sha256)[:_SEAL_BYTES]
