"""A writer of small OLE2 compound files, made from Microsoft's [MS-CFB] for the tests alone."""

from __future__ import annotations

import struct

FREE, END, FATSECT, NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF


def compound_file(streams: dict[str, bytes]) -> bytes:
    """Return a version 3 file; ``a/b`` puts stream b in storage a (streams get >= 4096 bytes)."""
    streams = {k: v.ljust(4096, b"\0") for k, v in streams.items()}
    tree: dict[str, object] = {}
    for name in streams:
        node = tree
        *folders, leaf = name.split("/")
        for folder in folders:
            node = node.setdefault(folder, {})  # type: ignore[assignment]
        node[leaf] = name
    entries: list[list[object]] = [["Root Entry", 5, NONE, NONE, None]]

    def add(node: dict[str, object]) -> int:
        first, before = NONE, None
        for name, content in node.items():
            index = len(entries)
            entries.append([name, 1 if isinstance(content, dict) else 2, NONE, NONE, content])
            if before is None:
                first = index
            else:
                entries[before][2] = index
            before = index
            if isinstance(content, dict):
                entries[index][3] = add(content)
        return first

    entries[0][3] = add(tree)
    sectors: list[bytes] = []
    fat: list[int] = []
    starts: dict[str, int] = {}

    def put(data: bytes) -> int:
        start, n = len(fat), -(-len(data) // 512)
        for k in range(n):
            sectors.append(data[512 * k : 512 * (k + 1)].ljust(512, b"\0"))
            fat.append(start + k + 1 if k < n - 1 else END)
        return start

    for name, data in streams.items():
        starts[name] = put(data)
    directory = b""
    for name, kind, right, child, content in entries:
        raw = str(name).encode("utf-16-le") + b"\0\0"
        is_stream = isinstance(content, str)
        directory += (
            raw.ljust(64, b"\0")
            + struct.pack("<HBB3I", len(raw), kind, 1, NONE, right, child)
            + bytes(36)
            + struct.pack(
                "<IQ",
                starts[content] if is_stream else END if kind == 5 else 0,
                len(streams[content]) if is_stream else 0,
            )
        )
    while len(directory) % 512:
        directory += bytes(66) + bytes(1) + bytes(1) + struct.pack("<3I", NONE, NONE, NONE)
        directory += bytes(36) + bytes(12)
    at_directory = put(directory)
    n_fat = -(-(len(fat) + 1) // 127)
    at_fat = len(fat)
    fat += [FATSECT] * n_fat
    fat += [FREE] * (128 * n_fat - len(fat))
    table = struct.pack(f"<{len(fat)}I", *fat)
    header = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(16)
        + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
        + bytes(6)
        + struct.pack("<9I", 0, n_fat, at_directory, 0, 4096, END, 0, END, 0)
        + struct.pack("<109I", *[at_fat + k if k < n_fat else FREE for k in range(109)])
    )
    return header + b"".join(sectors) + table
