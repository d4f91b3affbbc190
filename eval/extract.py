"""The script in a chat model's answer: out of prose, fences, thinking and JSON.

What is taken is text only; nothing is run here. Rules, in order: thinking between tags goes; of the fenced blocks the
last one that stands for itself (it parses and imports CadQuery) is taken, as corrections come after what they correct;
blocks that continue one another are joined; an answer without fences is taken from the first line that imports
CadQuery to the last line with which it parses.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap

#: Lines from the end of an answer without fences that may be prose.
MOST_PROSE = 60

_FENCE = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+.-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE
)
_INLINE = re.compile(r"```[ \t]*(?:python|py)?[ \t]*(.+?)```", re.DOTALL)
_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_BEGIN = re.compile(r"^[ \t]*(?:import cadquery\b|from cadquery\b|import cq\b)", re.MULTILINE)
#: Words after a fence that name something other than Python.
_OTHER = {"bash", "sh", "shell", "console", "text", "txt", "output", "json", "yaml", "diff", "javascript", "js"}


def extract(text: str) -> str | None:
    """Return the script of an answer, None where there is none.

    Args:
        text: the whole answer.
    """
    text = text.replace("\r\n", "\n").replace("\u200b", "").lstrip("\ufeff")
    text = _THINKING.sub("", text)
    inside = _from_json(text)
    if inside is not None:
        text = inside
    fenced = _FENCE.findall(text)
    blocks = [
        textwrap.dedent(body).strip("\n") for _, word, body in fenced if word.lower() not in _OTHER and body.strip()
    ]
    if not fenced and "```" in text:
        blocks = [body.strip() for body in _INLINE.findall(text) if body.strip()]
    if blocks:
        return _from_blocks(blocks) + "\n"
    bare = _from_prose(text)
    return bare + "\n" if bare is not None else None


def is_whole(code: str) -> bool:
    """Return whether a script parses."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def is_cut(text: str, code: str) -> bool:
    """Return whether an answer that reached its longest length was cut off inside its script.

    It was not where the fence after the script was reached, or what follows the script is prose.
    """
    if not is_whole(code) or not _ends(code):
        return True
    fences = re.findall(r"^[ \t]*(?:`{3,}|~{3,})", text, re.MULTILINE)
    if fences:
        return len(fences) % 2 == 1
    after = text.rstrip().rpartition(code.rstrip())[2].strip()
    return bool(re.match(r"[\w.]+\s*(?:=|\()|[.#)\]]", after))


def _from_blocks(blocks: list[str]) -> str:
    whole = [block for block in blocks if _BEGIN.search(block)]
    for block in reversed(whole):
        rest = blocks[blocks.index(block) + 1 :]
        if is_whole(block) and _ends(block):
            return block
        # A script told step by step: later blocks go on with the names of the earlier ones.
        joined = "\n".join([block, *rest])
        if rest and is_whole(joined):
            return joined
    if whole:
        return whole[-1]
    return max(blocks, key=len)


def _ends(block: str) -> bool:
    """Return whether a script makes anything, and is not the imports of one told step by step."""
    return any(not isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(block).body)


def _from_json(text: str) -> str | None:
    stripped = text.strip()
    if not stripped.startswith("{"):
        return None
    try:
        tree = json.loads(stripped)
    except (ValueError, RecursionError):
        return None
    if not isinstance(tree, dict):
        return None
    for name in ("code", "cadquery", "script", "generated", "answer"):
        if isinstance(tree.get(name), str):
            return str(tree[name])
    return None


def _from_prose(text: str) -> str | None:
    found = _BEGIN.search(text)
    if found is None:
        # No import: only an answer that is a script from end to end is one.
        stripped = text.strip()
        return stripped if "cq." in stripped and is_whole(stripped) else None
    lines = textwrap.dedent(text[found.start() :]).rstrip().split("\n")
    for cut in range(min(MOST_PROSE, len(lines))):
        kept = "\n".join(lines[: len(lines) - cut]).rstrip()
        if kept and is_whole(kept):
            return kept
    return "\n".join(lines)
