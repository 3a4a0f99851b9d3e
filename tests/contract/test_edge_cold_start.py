"""What a cold start of origin_router loads: nothing that its request does not need, and of dnspython only a part."""

import subprocess
import sys

from tests.unit import functions

# Each costs a cold start milliseconds (functions/origin_router/messages.py).
HEAVY = {"boto3", "ssl", "asyncio", "email", "urllib", "pathlib", "importlib.metadata", "dns.message", "dns.resolver"}


def loaded(event: str, before: str = "") -> set[str]:
    """The modules of a fresh interpreter after one event, `before` executed first."""
    program = (
        "import sys; seen = set(sys.modules)\n"
        f"sys.path.insert(0, {str(functions.ROOT / 'functions/origin_router')!r})\n"
        f"import handler\n{before}\n"
        f"answer = handler.handler({functions.event(f'origin_router/{event}')!r}, None)\n"
        "assert answer['uri'] == '/images/sunrise.png', answer\n"
        "print(*(set(sys.modules) - seen))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env={}
    )
    return set(done.stdout.splitlines()[-1].split())


def test_a_request_without_directions_loads_neither_dns_nor_sockets_nor_hashes() -> None:
    modules = loaded("no-dns-origin")
    assert modules & {*HEAVY, "dns", "socket", "hashlib", "hmac", "lookup", "dataclasses"} == set()


def test_a_lookup_loads_a_part_of_dnspython() -> None:
    modules = loaded("s3-oai", "import lookup; lookup.RESOLV_CONF = '/nowhere'")
    assert "dns.name" in modules
    assert modules & {*HEAVY, "hashlib", "hmac"} == set()
