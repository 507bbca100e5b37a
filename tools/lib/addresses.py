"""Pictures that lie at an address."""

import time
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError

from stages.lib import transfer
from stages.lib.usable import BadPicture

MOST = 100_000_000  # bytes of a picture's file
LONGEST = 60  # seconds for all of it
TIMEOUT = (5, 15)  # seconds to connect, and between two pieces of the answer


def is_address(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def fetch(url: str, file: Path) -> None:
    """Write what lies at `url` into `file`. Raises BadPicture with the cause where it fails.

    Errors that may pass are tried again; over MOST bytes, or after LONGEST seconds, it is given up.
    """
    began = time.monotonic()
    try:
        with (
            transfer.new_session(again=1) as session,
            session.get(url, stream=True, timeout=TIMEOUT) as answer,
            open(file, "wb") as opened,
        ):
            answer.raise_for_status()
            while piece := answer.raw.read1(transfer.PIECE, decode_content=False):
                if opened.tell() + len(piece) > MOST:
                    raise BadPicture(f"more than {MOST / 1e6:g} MB, so it is not fetched")
                if time.monotonic() > began + LONGEST:
                    raise BadPicture(f"not there within {LONGEST} seconds")
                opened.write(piece)
            if opened.tell() < int(answer.headers.get("Content-Length", 0)):
                raise HTTPError("the answer breaks off")
    except HTTPError:
        raise BadPicture("the answer breaks off or stands still; try again") from None
    except (requests.RequestException, ValueError) as error:  # the latter for odd addresses
        raise BadPicture(f"{transfer.cause(error)}; check the address and the network") from None
