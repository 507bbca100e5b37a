"""Review the labels of the last run: `make review`, or `python -m tools.review`.

Ranks what a person should look at: likely wrong labels, near-duplicates of two classes, images
unlike their class, poor images. Where the backbone knows texts, as CLIP's does, also labels that
the texts of the classes doubt. Opens a page that goes through them by keyboard: keep, another
class, leave out. Each decision is at once in the table that data.corrections names
(images/corrections.csv), by which `dvc repro` corrects the labels; no image is changed. --list
prints the order instead, or writes it to a .csv. Needs what `dvc repro` left, and
requirements-review.txt.

Training and validation images only: whoever corrects test images changes what is measured, which
wants --with-test. Ctrl-C ends the page.
"""

import argparse
from pathlib import Path

import pandas as pd

from thaw.project import files
from thaw.project.cli import run
from thaw.project.errors import UserError
from tools.reviewing import decisions, review
from tools.reviewing.review import Review
from tools.serving.listening import LOOPBACK, check_installed, listen, port, serve

HOST = "127.0.0.1"  # this machine's alone, as whoever reaches the page can change labels


def positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", nargs="?", const=Path(), type=Path, metavar="FILE.csv")
    parser.add_argument("--with-test", action="store_true", help="test images, too")
    parser.add_argument("--count", type=positive, help="at most so many images")
    parser.add_argument("--port", type=port, default=8000, help="0 takes any that is free")
    return parser.parse_args()


def table(found: Review) -> pd.DataFrame:
    """Return the ranked images: path, label, split, suggested, decision, reasons."""
    rows = found.rows.iloc[[each.row for each in found.findings]].reset_index(drop=True)
    decided = decisions.of_digests(rows["sha256"])
    return rows[["path", "label", "split"]].assign(
        suggested=[each.suggested for each in found.findings],
        decision=[each["decision"] if each else "" for each in decided],
        reasons=["; ".join(each.reasons) for each in found.findings],
    )


def summary(found: Review, ranked: pd.DataFrame) -> str:
    decided = int((ranked["decision"] != "").sum())
    doubted = int(ranked["reasons"].str.startswith("label in doubt").sum())
    return (
        f"{len(found.rows):,} images: {len(ranked):,} to look at, {doubted:,} of them for their "
        f"labels; {decided:,} decided in {decisions.place()}"
    )


def show(ranked: pd.DataFrame, file: Path) -> None:
    """Print the ranked images, or write them to a file."""
    if file != Path():
        files.write_csv(file, ranked)
        print(file)
        return
    for number, row in enumerate(ranked.itertuples(), 1):
        decided = f" [{row.decision}]" if row.decision else ""
        print(f"{number:>4}  {row.path}  {row.label}: {row.reasons}{decided}")


def main() -> None:
    options = arguments()
    check_installed("review", ["cleanlab"] if options.list else ["cleanlab", "fastapi", "uvicorn"])
    listening = None if options.list else listen(HOST, options.port)
    print("ranking the images ...", flush=True)
    found = review.load(options.with_test, options.count)
    ranked = table(found)
    if options.list:
        show(ranked, options.list)
        print(summary(found, ranked))
        return
    if not found.findings:
        raise UserError("there is nothing to look at")
    from tools.reviewing import app

    print(summary(found, ranked))
    serve(app.build(found, LOOPBACK), HOST, listening)


if __name__ == "__main__":
    run(main)
