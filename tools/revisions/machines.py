"""Whether two runs were computed by the same processor and versions, which decide last digits."""

SAID = (
    "Runs differ in the last digits with these, and after many steps by more: see "
    "`python -m tools.verify --seeds 5` for how far scores vary by chance."
)


def difference(before: dict | None, after: dict | None) -> str:
    """Return in what environments differ, in a few words; "" where they do not or one is unknown.

    As `software.environment` gives them.
    """
    if before is None or after is None:
        return ""
    parts = []
    one, other = (set(each["instructions"]) - {""} for each in (before, after))
    if one != other:
        lost, new = (" ".join(sorted(each)) for each in (one - other, other - one))
        parts.append("instructions " + ", ".join(
            f"{said} {which}" for said, which in (("without", lost), ("with", new)) if which
        ))  # fmt: skip
    devices = [each.get("device") for each in (before, after)]  # an earlier version's has none
    if None not in devices and devices[0] != devices[1]:
        parts.append(f"device {devices[0]} to {devices[1]}")
    for name in ("threads", "devices"):
        if before.get(name, 1) != after.get(name, 1):
            parts.append(f"{name} {before.get(name, 1)} to {after.get(name, 1)}")
    old, new = before["versions"], after["versions"]
    parts += [
        f"{name} {old.get(name, 'none')} to {new.get(name, 'none')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    return "; ".join(parts)
