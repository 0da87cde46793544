"""Strategies of hypothesis that damage sound files a little, or change values in them."""

from __future__ import annotations

import copy
import json
import re
import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

NASTY_WORDS = [
    b"-1", b"0", b"1", b"2147483648", b"18446744073709551616", b"9" * 400, b"9" * 5000, b"1e999",
    b"-1e999", b"nan", b"inf", b"1e-400", b"0.1", b"", b" ", b"a", b"\0", b"\n", b"\xff", b"1_0",
    b"0x10", b"1,5", b"true", b"null", b"[]", b"{}", b"[[[[", b'"', b"#", b"end_header", b"vertex",
    b"\xed\xb2\x80", b"../x", b"/dev/zero", b"*a", b"&a", b"<<: ", b"!!binary ",
]  # fmt: skip
NASTY_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), "", "a", "\udc80", "\0", "x" * 500, "../x.toml", "/dev/zero", [], {}, [[]],
    [0] * 4, [[0] * 4] * 4, {"a": 1}, [None], ["a"],
]  # fmt: skip
KINDS = ["bits", "bytes", "word", "number", "cut", "delete", "repeat", "integer"]
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?")


# A copy, because a later change may reach into the value.
NASTY = st.sampled_from(NASTY_VALUES).map(copy.deepcopy)


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of the sound contents with a few bytes, words or numbers changed."""
    content = bytearray(draw(st.sampled_from(list(seeds))))
    for _ in range(draw(st.sampled_from([1, 1, 2, 4]))):
        size = len(content)
        place = draw(st.integers(0, max(size - 1, 0)))
        end = min(size, place + draw(st.integers(1, 40)))
        match draw(st.sampled_from(KINDS)):
            case "bits" if size:
                content[place] ^= 1 << draw(st.integers(0, 7))
            case "bytes":
                content[place:end] = draw(st.binary(max_size=8))
            case "word":
                content[place:end] = draw(st.sampled_from(NASTY_WORDS))
            case "number":
                found = list(_NUMBER.finditer(bytes(content[:20_000])))
                if found:
                    which = found[draw(st.integers(0, len(found) - 1))]
                    content[which.start() : which.end()] = draw(st.sampled_from(NASTY_WORDS))
            case "cut":
                del content[place:]
            case "delete":
                del content[place:end]
            case "repeat":
                content[place:place] = content[place:end] * draw(st.integers(1, 50))
            case "integer":
                value = draw(st.sampled_from([0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1]))
                content[place : place + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", value)
    return bytes(content)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A document with one to three of its values replaced, removed or moved."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
        where, key = document, None
        holder: Any = None
        while isinstance(where, dict | list) and where and (holder is None or draw(st.booleans())):
            holder = where
            keys = list(where) if isinstance(where, dict) else list(range(len(where)))
            key = draw(st.sampled_from(keys))
            where = where[key]
        if holder is None:
            continue
        match draw(st.sampled_from(["nasty", "drawn", "remove", "add", "nest"])):
            case "nasty":
                holder[key] = draw(NASTY)
            case "drawn":
                holder[key] = draw(st.one_of(st.integers(), st.floats(), st.text(max_size=9)))
            case "remove":
                del holder[key]
            case "add" if isinstance(holder, list):
                holder.insert(0, draw(NASTY))
            case "nest":
                holder[key] = [where]
            case _:
                holder[draw(st.text(max_size=5))] = draw(NASTY)
    return document


def changed_json(document: Any) -> st.SearchStrategy[bytes]:
    """The JSON of a changed document; surrogates are spelled as JSON spells them."""
    return changed(document).map(lambda value: json.dumps(value).encode())


def texts(document: Any, seeds: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """JSON of a document whose values are changed, or whose text is damaged."""
    sound = json.dumps(document).encode()
    return st.one_of(changed_json(document), damaged([sound, *seeds]))
