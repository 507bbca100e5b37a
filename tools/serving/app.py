"""The page and its JSON endpoint as a web application; the folder page/ holds the page itself.

GET  /          the page
POST /predict   multipart field `file` -> {"label": ..., "unsure": ..., "unknown": ...,
                "probabilities": {class: ...}}; the two in between where the classifier tells them
POST /look      the same with what the page shows besides
GET  /run       the run: its model, limits, model card and figures
GET  /healthz   {"status": "ok", "waiting": images without an answer}
Errors are {"error": ...} with 400 for a request without an image, 408 for one that is too slow, 413
for a body that is too large, 422 for an invalid image, and 503 when too many wait.
"""

from fastapi import APIRouter, FastAPI, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from markdown_it import MarkdownIt

from thaw.project import paths
from tools.reports import captions
from tools.serving import limits, web
from tools.serving.responses import Refused, Responder, TooLarge

CARD = paths.EXPORT / "MODEL_CARD.md"
FIGURES = {path.name: path for path in captions.CAPTIONS if path.parent != paths.DOWNLOAD_REPORT}
router = APIRouter()


def build(
    responder: Responder, missing: list[str], hosts: list[str], with_run: bool = True
) -> FastAPI:
    """Return the application.

    missing: sentences about what the page cannot show; hosts: as `web.application` takes them.
    with_run: show the model card and the figures of the run, whose model it must be; they stay what
    they are now, as the model does.
    """
    app = web.application(hosts, responder.largest, "send one image as the multipart field `file`")
    app.state.responder, app.state.missing = responder, missing
    app.state.card = card() if with_run else ""
    app.state.figures = {
        name: path.read_bytes() for name, path in FIGURES.items() if with_run and path.is_file()
    }
    app.add_exception_handler(Refused, _refused)
    app.include_router(router)
    return app


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(web.PAGE / "index.html")


@router.get("/healthz", include_in_schema=False)
async def healthz(request: Request) -> dict:
    return {"status": "ok", "waiting": request.app.state.turns.waiting}


@router.post("/predict")
async def predict(request: Request, file: UploadFile) -> dict:
    """The likeliest class of an image, and the probability of each."""
    state = request.app.state
    return await state.turns.take(request, state.responder.predict, file.file)


@router.post("/look", include_in_schema=False)
async def look(request: Request, file: UploadFile) -> dict:
    state = request.app.state
    return await state.turns.take(request, state.responder.look, file.file)


@router.get("/run", include_in_schema=False)
async def run(request: Request) -> dict:
    responder = request.app.state.responder
    return {
        "model": responder.predictor.name,
        "classes": len(responder.predictor.labels),
        "size": responder.predictor.loader.size,
        "megabytes": responder.largest / 1e6,
        "megapixels": responder.data.max_megapixels,
        "missing": request.app.state.missing,
        "card": request.app.state.card,
        "figures": [
            {
                "title": captions.title(FIGURES[name]),
                "caption": captions.CAPTIONS[FIGURES[name]],
                "source": f"figures/{name}",
            }
            for name in request.app.state.figures
        ],
    }


@router.get("/figures/{name}", include_in_schema=False)
async def figure(request: Request, name: str) -> Response:
    if name not in request.app.state.figures:
        raise HTTPException(404, "no such figure")
    return Response(request.app.state.figures[name], media_type="image/png")


def card() -> str:
    """Return the model card as HTML; the HTML in it, as in a class's name, is shown as text."""
    if not CARD.is_file():
        text = f"`{CARD}` is missing; `dvc repro export` writes it, `dvc pull` brings it."
    else:
        text = CARD.read_text(encoding="utf-8")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for token in tokens:
        token.attrs.pop("style", None)  # of a column's alignment, which HEADERS forbid
    return markdown.renderer.render(tokens, markdown.options, {})


def _refused(request: Request, error: Refused) -> JSONResponse:
    status = 413 if isinstance(error, TooLarge) else 422
    return limits.error(HTTPException(status, str(error)))
