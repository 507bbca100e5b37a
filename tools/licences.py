"""Write docs/licences.md: the licences of all that runs here, by the packages' own words."""

import re
from importlib import metadata
from pathlib import Path

import pandas as pd

from thaw.export import markdown, model_card
from thaw.project import files
from thaw.project.cli import run

DOCS = Path("docs/licences.md")
PARTS = (
    "",
    "-serve",
    "-review",
    "-search",
    "-export",
    "-hub",
    "-parquet",
    "-ray",
)  # of requirements-NAME.txt, but for tests
PIN = re.compile(r"^([a-z0-9._-]+)==([^\s;]+)", re.M)
LONGEST = 60  # letters of a licence's name; some packages have its whole text there
HEAD = """\
# Licences

thaw's own licence is Apache-2.0. `python -m tools.licences` writes this page from what the packages
say that requirements.txt, -serve, -review, -search, -export, -hub, -parquet and -ray pin.
requirements-gpu.txt has CUDA libraries besides, which are under NVIDIA's own licence.

## Weights

"""
ELSEWHERE = (
    "The other networks' ImageNet weights are downloaded by keras.applications, presets by "
    "KerasHub, and the documentation of each says where they are from and under which licence."
)


def pins(texts: list[str]) -> dict[str, list[str]]:
    """Return the versions of each package in requirements files; several for several Pythons."""
    found: dict[str, list[str]] = {}
    for name, version in sorted({pin for text in texts for pin in PIN.findall(text)}):
        found.setdefault(name, []).append(version)
    return found


def licence(name: str) -> str:
    """Return what an installed package says, "" where it says nothing or is not for this system."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    classifiers = [
        each.split(" :: ")[-1]
        for each in about.get_all("Classifier", [])
        if each.startswith("License :: ") and not each.endswith("OSI Approved")
    ]
    text = (about.get("License") or "").strip().removeprefix("UNKNOWN")
    short = text if len(text) <= LONGEST and "\n" not in text else ""
    title = " ".join(" ".join(text.splitlines()[:2]).split())[:LONGEST]  # of the whole text
    return about.get("License-Expression") or short or ", ".join(classifiers) or title


def page(texts: list[str]) -> str:
    """Return the whole page for the texts of requirements files."""
    weights = "\n".join(f"- {said}" for said in (*model_card.LICENCES.values(), ELSEWHERE))
    rows = []
    for name, versions in pins(texts).items():
        elsewhere = "see above" if f"`{name}`" in weights else "not named here"
        rows.append((name, ", ".join(versions), markdown.plain(licence(name)) or elsewhere))
    table = markdown.table(pd.DataFrame(rows, columns=["package", "version", "licence"]))
    return f"{HEAD}{weights}\n\n## Packages\n\n{table}\n"


def main() -> None:
    texts = [Path(f"requirements{part}.txt").read_text(encoding="utf-8") for part in PARTS]
    with files.replacing(DOCS) as partial:
        partial.write_text(page(texts), encoding="utf-8")
    print(f"wrote {DOCS}")


if __name__ == "__main__":
    run(main)
