"""The controls' page: plain HTML with forms, without a script."""

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from local.dns_zone import DEFAULT_TTL_SECONDS, FAILURES, ORIGIN_NAME
from local.events import Record
from local.provider_faults import FAULTS

if TYPE_CHECKING:
    from local.states import ProviderState, RegionState, State

_EVENTS_SHOWN = 20

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1b1b1b; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #ccc; }
form { display: inline-flex; gap: .4rem; align-items: center; }
input { width: 5rem; } .wide { width: 20rem; }
.off { color: #a00; font-weight: bold; } code { overflow-wrap: anywhere; }
"""


def page(state: "State", records: Sequence[Record]) -> str:
    """The whole page."""
    rows = "".join(_region(region) for region in state.regions)
    events = "".join(_event(record) for record in reversed(records[-_EVENTS_SHOWN:]))
    places = " ".join(f'<a href="/?location={name}">{name}</a>' for name in ("eu", "us", "asia"))
    api, mrap = escape(state.api), escape(state.mrap["endpoint"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Nearside's local world</title>
<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>
<h1>Nearside's local world</h1>
<p>API <a href="{api}/">{api}</a> · access point <code>{mrap}</code> · edge <code>{escape(state.edge)}</code></p>
<h2>Regions</h2>
<table><tr><th>region</th><th>is</th><th>slower by</th><th>failing</th><th>replication to it</th>
<th>waiting to leave</th></tr>{rows}</table>
<h2>Replication</h2>
<p>{state.pending} pending. {_form("/lag", "seconds", f"{state.lag_seconds:g}", "lag in seconds")}
{_form("/threshold", "seconds", f"{state.threshold_seconds:g}", "late after seconds")}
{_form("/old-object", "key", "old.txt", "an object older than the rules")}</p>
<p>{_faults(state)}</p>
<h2>Event delivery</h2>
<p>{_delivery(state)}</p>
<p>{_schedules(state)}</p>
<h2>Gateway</h2>
{_gateway(state)}
<h2>Name server</h2>
{_dns(state)}
<h2>Location</h2>
<p>A client that does not say where it is (<code>X-World-Location</code>) is in <b>{escape(state.location)}</b>:
{places} {_form("/location", "to", state.location, "somewhere else")}</p>
<h2>Last events</h2>
<table><tr><th>time</th><th>event</th><th>bucket</th><th>key</th></tr>{events}</table>
</body></html>
"""


def _region(region: "RegionState") -> str:
    name, condition = escape(region.name), region.condition
    is_on = "on" if condition.on else '<span class="off">off</span>'
    other = "off" if condition.on else "on"
    switch = (
        f'<form method="post" action="/region/{name}"><button name="state" value="{other}">turn {other}</button></form>'
    )
    slow = _form(f"/slow/{name}", "seconds", f"{condition.slow_seconds:g}", "seconds")
    failing = _form(f"/failing/{name}", "ratio", f"{condition.failing_ratio:g}", "of 1")
    return (
        f"<tr><td><b>{name}</b><br><code>{escape(region.endpoint)}/{escape(region.bucket)}</code></td>"
        f"<td>{is_on} {switch}</td><td>{slow}</td><td>{failing}</td><td>{_replication(region)}</td>"
        f"<td>{region.pending_from}</td></tr>"
    )


def _replication(region: "RegionState") -> str:
    buttons = "".join(
        f'<form method="post" action="/{action}/{escape(region.name)}"><button>{label}</button></form> '
        for action, label in (("fail-replication", "let it fail"), ("stall-replication", "stall it"))
    )
    return f"{region.failed_to} failed. {buttons}"


def _faults(state: "State") -> str:
    if not state.replication_faults:
        return "Nothing is wrong with replication."
    shown = "; ".join(
        escape(
            f"to {fault.region or 'any region'}, keys {fault.prefix}…: "
            + (f"fails ({fault.reason})" if fault.reason else "stalls")
        )
        for fault in state.replication_faults
    )
    return f'{shown} <form method="post" action="/mend-replication"><button>mend</button></form>'


def _delivery(state: "State") -> str:
    now = state.event_delivery
    fields = "".join(
        f'<label>{label} <input name="{name}" value="{value:g}"></label>'
        for name, label, value in (
            ("lose", "lost", now.lose),
            ("duplicate", "twice", now.duplicate),
            ("delay", "late (of 1)", now.delay),
            ("seconds", "by seconds", now.delay_seconds),
        )
    )
    waiting = sum(region.events_waiting for region in state.regions)
    given_up = sum(region.dead_letters for region in state.regions)
    return (
        f"{waiting} wait, {given_up} given up, {state.events_lost} lost. "
        f'<form method="post" action="/events">{fields}<button>set</button></form> '
        '<form method="post" action="/redrive"><button>try those given up again</button></form>'
    )


def _schedules(state: "State") -> str:
    return " ".join(
        f'<form method="post" action="/schedule/{escape(name)}"><button>run {escape(name)} now</button></form>'
        for name in state.schedules
    )


def _gateway(state: "State") -> str:
    gateway = state.gateway
    other = "off" if gateway.lambda_limits else "on"
    rows = "".join(_provider(provider) for provider in gateway.providers)
    return f"""<p><code>{escape(gateway.url)}</code>, {gateway.waiting} wait for the replicator. Lambda's limits are
{"on" if gateway.lambda_limits else "off"}. <form method="post" action="/lambda-limits">
<button name="state" value="{other}">turn them {other}</button></form></p>
<table><tr><th>place</th><th>is</th><th>let it</th></tr>{rows}</table>"""


def _provider(provider: "ProviderState") -> str:
    name, trouble = escape(provider.name), asdict(provider.trouble)
    wrong = ", ".join(f"{kind} {value}" for kind, value in trouble.items() if value)
    shown = f'<span class="off">{escape(wrong)}</span>' if wrong else "well"
    buttons = " ".join(
        f'<form method="post" action="/provider/{name}/{fault}"><button>{fault}</button></form>'
        for fault in FAULTS
        if fault != "slow"
    )
    slow = _form(f"/provider/{name}/slow", "seconds", f"{provider.trouble.slow_seconds:g}", "slower by seconds")
    return (
        f"<tr><td><b>{name}</b> {escape(provider.provider)}, {escape(provider.zone_code)}<br>"
        f"<code>{escape(provider.endpoint)}</code></td><td>{shown}</td><td>{buttons} {slow}</td></tr>"
    )


def _dns(state: "State") -> str:
    dns = state.dns
    rows = "".join(
        f"<tr><td>{escape(record.name)}</td><td><code>{escape(text)}</code></td><td>{record.ttl_seconds} s</td>"
        f"<td>{record.weights[index] if record.weights else ''}</td><td>{dns.queries.get(record.name, 0)}</td></tr>"
        for record in dns.records
        for index, text in enumerate(record.texts)
    )
    modes = "".join(f'<button name="mode" value="{mode}">{mode}</button>' for mode in FAILURES)
    fails = f'<span class="off">fails: {escape(dns.failure)}</span>' if dns.failure else "on"
    first = dns.records[0] if dns.records else None
    name, text = (first.name, first.texts[0]) if first else (ORIGIN_NAME, "")
    return f"""<p><code>{escape(dns.address)}</code> is {fails}.
<form method="post" action="/dns/fail">let it fail: {modes}</form>
<form method="post" action="/dns/mend"><button>mend</button></form></p>
<table><tr><th>name</th><th>text</th><th>ttl</th><th>weight</th><th>queries</th></tr>{rows}</table>
<form method="post" action="/dns/set"><input name="name" value="{escape(name)}" class="wide">
<input name="text" value="{escape(text)}" class="wide">
<label>ttl <input name="ttl" value="{DEFAULT_TTL_SECONDS}"></label>
<button>set</button></form>"""


def _form(action: str, name: str, value: str, label: str) -> str:
    return (
        f'<form method="post" action="{action}"><label>{label} <input name="{name}" value="{escape(value)}"></label>'
        "<button>set</button></form>"
    )


def _event(record: Record) -> str:
    s3 = record["s3"]
    cells = (record["eventTime"], record["eventName"], s3["bucket"]["name"], unquote_plus(s3["object"]["key"]))
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
