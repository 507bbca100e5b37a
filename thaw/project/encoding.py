"""The encoding of text that people bring."""

BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16
LOOKED_AT = 200  # bytes


def decoded(data: bytes, errors: str = "strict") -> str:
    """Return text of UTF-8 or UTF-16, with or without a byte order mark, which goes.

    Raises UnicodeDecodeError for any other, unless `errors` says what else to do (bytes.decode).
    """
    head = data[:LOOKED_AT]
    encoding = "utf-8-sig"
    if data.startswith(BYTE_ORDER_MARKS):
        encoding = "utf-16"
    elif head[1::2].count(0) > len(head[1::2]) / 2:
        encoding = "utf-16-le"
    elif head[::2].count(0) > len(head[::2]) / 2:
        encoding = "utf-16-be"
    return data.decode(encoding, errors)
