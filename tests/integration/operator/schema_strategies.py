"""Objects made from a structural OpenAPI schema, for tests of what strangers may send: valid by it, or anything."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

type Json = dict[str, Any]

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXT,
    st.just("x" * 5000),
    st.sampled_from(["", "-1", "1e400", "NaN", "${POD_NAME}", "{{ x }}", "../../etc/passwd", "\u202eabc", "\x00"]),
)
ANYTHING: SearchStrategy[Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=8
)
_MOST_OPTIONAL = 4  # fields of one object: a pod's template has hundreds, nested


def valid(schema: Json) -> SearchStrategy[Any]:
    """Values that the schema's types and bounds allow; its CEL rules may still refuse them."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.sampled_from([0, 1, "100m", "1Gi", "50%"])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema)
    if kind == "array":
        most = min(schema.get("maxItems", 2), 2)
        return st.lists(valid(schema["items"]), min_size=min(schema.get("minItems", 0), most), max_size=most)
    if kind == "integer":
        bits = 31 if schema.get("format") == "int32" else 63
        return st.integers(schema.get("minimum", -(2**bits)), schema.get("maximum", 2**bits - 1))
    if kind == "boolean":
        return st.booleans()
    if kind == "number":
        return st.floats(allow_nan=False, allow_infinity=False)
    return _string(schema) if kind == "string" else ANYTHING


def _object(schema: Json) -> SearchStrategy[Json]:
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    if not properties:
        values = schema.get("additionalProperties")
        return st.dictionaries(_TEXT, valid(values) if isinstance(values, dict) else _TEXT, max_size=2)

    fields = {name: valid(value) for name, value in properties.items()}
    optional = sorted(set(fields) - required)

    @st.composite
    def build(draw: st.DrawFn) -> Json:
        chosen = draw(st.lists(st.sampled_from(optional), max_size=_MOST_OPTIONAL, unique=True)) if optional else []
        return {name: draw(fields[name]) for name in (*sorted(required), *chosen)}

    return build()


def _string(schema: Json) -> SearchStrategy[str]:
    if "pattern" in schema:
        pattern: str = schema["pattern"]
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: len(text) <= _most(schema))
    plain = st.from_regex(r"[a-z]([-a-z0-9.]{0,10}[a-z0-9])?", fullmatch=True)
    return (plain | _TEXT.filter(lambda text: len(text) >= schema.get("minLength", 0))).filter(
        lambda text: len(text) <= _most(schema)
    )


def _most(schema: Json) -> int:
    return int(schema.get("maxLength", 1000))


@st.composite
def damaged(draw: st.DrawFn, objects: SearchStrategy[Json]) -> Json:
    """An object of which one field somewhere is anything at all, missing, or unknown."""
    whole = draw(objects)
    place: Any = whole
    while True:
        inner = [value for value in place.values() if isinstance(value, dict) and value]
        if not inner or draw(st.booleans()):
            break
        place = draw(st.sampled_from(inner))
    name = draw(st.sampled_from([*place, "unknown"]))
    if name in place and draw(st.booleans()):
        del place[name]
    else:
        place[name] = draw(ANYTHING)
    return whole
