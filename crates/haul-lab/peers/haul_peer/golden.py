"""Holds this package to the golden bytes of the page."""

import re

from .wire import DATA, Ask, decode


def blocks(page):
    """Every golden entry of the page: its name and its bytes."""
    for block in re.findall(r"```text\ngolden\n(.*?)```", page, re.DOTALL):
        name, text = None, ""
        for line in block.splitlines():
            line = line.split("#")[0].rstrip()
            if line and not line.startswith(" "):
                if name:
                    yield name, bytes.fromhex(text)
                # The name ends where two spaces do, or where the column of bytes begins.
                name, text = re.split(r" {2,}| (?=[0-9a-f]{8})", line, maxsplit=1)
            else:
                text += line
        yield name, bytes.fromhex(text)


def check(page):
    """Reads and writes every entry again; each with its name and what was read in it."""
    for name, golden in blocks(page):
        ask = name == "ask"
        again, told = (ask_again if ask else frame_again)(name, golden)
        assert again == golden, f"{name}: {again.hex()} is not {golden.hex()}"
        yield name, told


def ask_again(_, golden):
    ask = Ask.decode(golden.ljust(Ask.LENGTH, b"\0"))
    return ask.encode()[: len(golden)], vars(ask)


def frame_again(name, golden):
    buffer = bytearray(golden)
    frame = decode(buffer)
    assert not buffer and frame.kind == name, f"{name} was read as {frame}"
    if name != DATA:
        later = decode(bytearray(grown(golden)))
        assert vars(later) == vars(frame), f"{name} with a later field was read as {later}"
    return frame.encode(), vars(frame)


def grown(golden):
    """The same frame of a later minor version, which has a field more."""
    length = int.from_bytes(golden[:4], "big") + 3
    return length.to_bytes(4, "big") + golden[4:] + b"new"
