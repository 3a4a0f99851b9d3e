"""The TXT records of a name, by dnspython's resolver: here, unlike at the edge, nobody waits for a cold start."""

from collections.abc import Sequence

import dns.exception
import dns.nameserver
import dns.resolver

from directions import Question
from origins import NoAnswer


def texts(question: Question) -> Sequence[str]:
    """Each record's strings, joined (RFC 7208 3.3). Raises NoAnswer."""
    resolver = dns.resolver.Resolver(configure=not question.resolvers)
    if question.resolvers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in question.resolvers]
    resolver.lifetime = question.deadline_seconds
    # So that a resolver that is silent leaves time for the others.
    resolver.timeout = question.deadline_seconds / (len(resolver.nameservers) + 1)
    try:
        answer = resolver.resolve(f"{question.name}.", "TXT", search=False)
    except dns.exception.DNSException as error:
        raise NoAnswer(str(error) or repr(error)) from error
    # What is not ASCII is no origin; it stays readable in the reason.
    return [b"".join(record.strings).decode("ascii", "backslashreplace") for record in answer]
