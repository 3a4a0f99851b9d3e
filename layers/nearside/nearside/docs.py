"""`GET /docs`: the OpenAPI document as one page of plain HTML, without a script."""

import re
from collections.abc import Sequence
from html import escape
from typing import Any

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
section { border-top: 1px solid #8886; padding: .5rem 0 1rem; }
h2 code { font-size: 1rem; } h3 { font-size: 1rem; margin: .75rem 0 .25rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8883; }
"""


def page(document: dict[str, Any]) -> str:
    """The whole document as HTML: each route with its parameters, body, answers; then the schemas."""
    info = document["info"]
    routes = "".join(
        _route(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{escape(info['description'])} "
        f'The same as <a href="openapi.json">openapi.json</a>.</p>{routes}'
        f"<h2>Schemas</h2>{schemas}</main></body></html>"
    )


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = [(p["name"], p["in"], _type(p["schema"])) for p in operation["parameters"]]
    body = [
        ("body", media, _type(content["schema"]))
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    answers = [
        (status, answer["description"], ", ".join(_type(c["schema"]) for c in answer.get("content", {}).values()))
        for status, answer in operation["responses"].items()
    ]
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{_text(operation['summary'])}</p>"
        + (_table("Takes", ("name", "in", "type"), parameters + body) if parameters or body else "")
        + _table("Answers", ("status", "meaning", "type"), answers)
        + "</section>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    needed = schema.get("required", [])
    rows = [
        (field, _type(sub) + ("" if field in needed else f", default {sub.get('default')!r}"), _limits(sub))
        for field, sub in schema.get("properties", {}).items()
    ]
    return (
        f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p>{_text(schema.get("description", ""))}</p>'
        + _table("", ("field", "type", "limits"), rows)
        + "</section>"
    )


def _text(words: str) -> str:
    """Words with their `code` marked."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(words))


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    heading = f"<h3>{title}</h3>" if title else ""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"{heading}<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(repr(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "anything"))


def _limits(schema: dict[str, Any]) -> str:
    names = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")
    options = schema.get("anyOf", [schema])
    return ", ".join(f"{name} {option[name]}" for option in options for name in names if name in option)
