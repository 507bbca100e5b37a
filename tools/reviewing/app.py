"""The page of the review as a web application; tools/serving/page/review.html is the page itself.

GET  /               the page
GET  /review         classes, and the images in their order with what was decided so far
GET  /images/NUMBER  an image of that list; with ?other, the one to compare it with
POST /decide         {"number": ..., "label": ...} notes the right label; null leaves the image out
POST /take_back      {"number": ...} forgets what was decided
Errors are as `web` has them, and 409 while the table or params.yaml cannot be written, and for an
image that is another one by now.
"""

import io

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from thaw.project.errors import UserError
from tools.reviewing import decisions
from tools.reviewing.review import Review
from tools.serving import limits, web

SIDE = 640  # pixels of the longer side of what the page shows
LARGEST = 4096  # bytes of a decision
router = APIRouter()


class Place(BaseModel):
    """Which image of the list."""

    model_config = ConfigDict(extra="forbid", strict=True)
    number: int


class Decision(Place):
    """Its right label, None to leave it out."""

    label: str | None


def build(review: Review, hosts: list[str]) -> FastAPI:
    """Return the application. hosts: as `web.application` takes them."""
    app = web.application(hosts, LARGEST, "send the number of an image, and its right label")
    app.state.review = review
    app.add_exception_handler(UserError, _refused)
    app.include_router(router)
    return app


@router.get("/")
def page() -> FileResponse:
    return FileResponse(web.PAGE / "review.html")


@router.get("/review")
def review(request: Request) -> dict:
    found: Review = request.app.state.review
    rows = found.rows.iloc[[each.row for each in found.findings]]
    decided = decisions.of_digests(rows["sha256"])
    return {
        "classes": found.classes,
        "file": str(decisions.place()),
        "images": [
            {
                "path": row.path,
                "label": row.label,
                "split": row.split,
                "reasons": finding.reasons,
                "suggested": finding.suggested,
                "other": _other(found, finding.other),
                "decided": decision,
            }
            for row, finding, decision in zip(rows.itertuples(), found.findings, decided)
        ],
    }


def _other(found: Review, row: int) -> dict | None:
    return None if row < 0 else found.rows.iloc[row][["path", "label"]].to_dict()


@router.get("/images/{number}")
def image(request: Request, number: int, other: bool = False) -> Response:
    found: Review = request.app.state.review
    finding = _finding(found, number)
    row = finding.other if other else finding.row
    if row < 0:
        raise HTTPException(404, "no image to compare with")
    content = io.BytesIO()
    try:
        shown = found.image(row, SIDE)
    except FileNotFoundError:
        raise HTTPException(404, "no longer there; start the review again") from None
    shown.save(content, "PNG", compress_level=1)
    return Response(content.getvalue(), media_type="image/png")


@router.post("/decide")
def decide(request: Request, decision: Decision) -> dict:
    found: Review = request.app.state.review
    if decision.label not in (None, *found.classes):
        raise HTTPException(422, "no such class")
    row = found.rows.iloc[_finding(found, decision.number).row]
    return decisions.decide(row["path"], row["sha256"], row["source_label"], decision.label)


@router.post("/take_back")
def take_back(request: Request, place: Place) -> dict:
    found: Review = request.app.state.review
    decisions.take_back(found.rows["sha256"].iloc[_finding(found, place.number).row])
    return {}


def _refused(request: Request, error: UserError) -> JSONResponse:
    return limits.error(HTTPException(409, str(error)))


def _finding(found: Review, number: int):
    if not 0 <= number < len(found.findings):
        raise HTTPException(404, "no such image")
    return found.findings[number]
