"""TypeScript types of the API, made from its OpenAPI document: `make types` writes them to web/api.d.ts.

There is no Node in this house, so this speaks exactly the JSON Schema that msgspec makes, and refuses any other.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from local import ROOT
from nearside.openapi import document

WRITTEN = ROOT / "web" / "api.d.ts"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_HEAD = "/** @file The API's types, made from openapi.json by `make types`: change the API, not this file. */"
_ROUTES = "/** Every route: what its query and its body may have, and what it answers. */"
_KNOWN = {
    *("type", "title", "description", "properties", "required", "items", "anyOf", "enum", "$ref", "default", "format"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "additionalProperties"),
    "propertyNames",
}


class NotTold(ValueError):
    """A schema that this cannot say in TypeScript; the message has it."""


def declarations(described: Mapping[str, Any]) -> str:
    """An interface for each schema of an OpenAPI document, and `Routes` for what goes in and out of each route."""
    lines = [_HEAD, ""]
    for name, schema in described["components"]["schemas"].items():
        lines += [*_words(schema.get("description", ""), ""), f"export interface {name} {_fields(schema, '')}", ""]
    lines += [_ROUTES, "export interface Routes {"]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            lines += [*_words(operation["summary"], "  "), f"  {json.dumps(f'{method.upper()} {path}')}: {{"]
            lines += [f"    {name}: {kind};" for name, kind in _operation(operation)]
            lines.append("  };")
    return "\n".join([*lines, "}", ""])


def _operation(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    queries = [each for each in operation["parameters"] if each["in"] == "query"]
    fields = "; ".join(f"{each['name']}?: {_type(each['schema'], '    ')}" for each in queries)
    yield "query", f"{{ {fields} }}" if fields else "{}"
    body = operation.get("requestBody")
    yield "body", _content(body["content"]) if body else "undefined"
    yield "answer", _content(operation["responses"]["200"]["content"])


def _content(content: Mapping[str, Any]) -> str:
    return _type(content["application/json"]["schema"], "    ") if "application/json" in content else "string"


def _type(schema: Mapping[str, Any], indent: str) -> str:
    if odd := schema.keys() - _KNOWN:
        raise NotTold(f"{', '.join(sorted(odd))} in {json.dumps(schema)}")
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(option, indent) for option in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    match schema.get("type"):
        case None:
            return "unknown"
        case "array":
            inner = _type(schema.get("items", {}), indent)
            return f"({inner})[]" if " | " in inner else f"{inner}[]"
        case "object" if "properties" in schema:
            return _fields(schema, indent)
        case "object":
            values = schema.get("additionalProperties", {})
            return f"Record<string, {_type(values if isinstance(values, dict) else {}, indent)}>"
        case str(plain) if plain in _PLAIN:
            return _PLAIN[plain]
    raise NotTold(json.dumps(schema))


def _fields(schema: Mapping[str, Any], indent: str) -> str:
    needed = schema.get("required", [])
    lines = []
    for name, inner in schema.get("properties", {}).items():
        lines += _words(inner.get("description", ""), f"{indent}  ")
        said = name if name.isidentifier() else json.dumps(name)
        lines.append(f"{indent}  {said}{'' if name in needed else '?'}: {_type(inner, f'{indent}  ')};")
    return "\n".join(["{", *lines, f"{indent}}}"])


def _words(text: str, indent: str) -> list[str]:
    said = " ".join(text.split()).replace("*/", "* /")
    return [f"{indent}/** {said} */"] if said else []


if __name__ == "__main__":
    WRITTEN.write_text(declarations(document("none")))
    sys.stdout.write(f"{WRITTEN.relative_to(ROOT)}: {len(WRITTEN.read_text().splitlines())} lines\n")
