"""Checks a value against the part of JSON Schema that docs/callback.schema.json uses.

The standard library has no validator. A keyword this file does not know is an error, so that
the schema cannot grow past it unnoticed.
"""

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}
NOTES = {"$schema", "$defs", "title", "description", "then", "else"}


def same(a, b):
    """Equality of JSON values: true is not 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def problems(schema, value, root=None, at="body"):
    """Every reason why the value does not match, as text; empty if it does."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return [] if schema else [f"{at}: must not be there"]
    found = []
    for word, rule in schema.items():
        check = WORDS.get(word)
        if check:
            found += check(rule, value, root, at, schema)
        elif word not in NOTES:
            raise NotImplementedError(f"schema keyword {word}")
    return found


def _ref(rule, value, root, at, _):
    part = root
    for step in rule.removeprefix("#/").split("/"):
        part = part[step]
    return problems(part, value, root, at)


def _type(rule, value, _root, at, _):
    wanted = [rule] if isinstance(rule, str) else rule
    return [] if any(TYPES[name](value) for name in wanted) else [f"{at}: is not {' or '.join(wanted)}"]


def _if(rule, value, root, at, schema):
    branch = "else" if problems(rule, value, root, at) else "then"
    return problems(schema.get(branch, True), value, root, at)


def _required(rule, value, _root, at, _):
    return [f"{at}: {name} is missing" for name in rule if isinstance(value, dict) and name not in value]


def _properties(rule, value, root, at, _):
    return [
        problem
        for name, part in rule.items()
        if isinstance(value, dict) and name in value
        for problem in problems(part, value[name], root, f"{at}.{name}")
    ]


def _additional(rule, value, root, at, schema):
    known = schema.get("properties", {})
    return [
        problem
        for name in (value if isinstance(value, dict) else ())
        if name not in known
        for problem in problems(rule, value[name], root, f"{at}.{name}")
    ]


def _items(rule, value, root, at, _):
    items = value if isinstance(value, list) else []
    return [p for n, item in enumerate(items) for p in problems(rule, item, root, f"{at}[{n}]")]


def _any_of(rule, value, root, at, _):
    return [] if any(not problems(part, value, root, at) for part in rule) else [f"{at}: matches no alternative"]


WORDS = {
    "$ref": _ref,
    "type": _type,
    "if": _if,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "anyOf": _any_of,
    "enum": lambda rule, v, _r, at, _s: [] if any(same(v, one) for one in rule) else [f"{at}: is not one of {rule}"],
    "const": lambda rule, v, _r, at, _s: [] if same(v, rule) else [f"{at}: is not {rule}"],
    "minItems": lambda rule, v, _r, at, _s: [f"{at}: is empty"] if isinstance(v, list) and len(v) < rule else [],
    "minProperties": lambda rule, v, _r, at, _s: [f"{at}: is empty"] if isinstance(v, dict) and len(v) < rule else [],
}
