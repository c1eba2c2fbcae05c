"""The frame of every screen: templates, files with names that change with them, headers, forms, refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from hashlib import blake2b
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from matinee.core.errors import InputError
from matinee.report import numbers
from matinee.report.frame import coded
from matinee.serve.page.titles import Titles
from matinee.serve.refusals import Forbidden, NotFound, Refusal, TooBig, outside_words
from matinee.serve.replies import is_own
from matinee.serve.service import Service

Handler = Callable[[Request], Awaitable[Response]]

# Nothing but this server's own files; fetching is for the page's own script, which swaps screens in place.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# The referrer stays: without one, browsers do not say where a form came from.
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FOREVER = "public, max-age=31536000, immutable"
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_NAMES = {
    400: "This cannot be read",
    401: "A key, please",
    403: "Not with this",
    404: "Nothing is here",
    405: "Not like this",
    409: "Not as things stand",
    413: "Too much at once",
    500: "A mistake of ours",
    503: "Not now",
}
_FORM_BYTES = 64 * 1024
_MOST_FIELDS = 200


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the screens share.

    Attributes:
        service: who is asked.
        titles: what items are called.
        figures: the text that Prometheus reads, where somebody counts; None: nobody does.
        may: whether whoever sends a request may see the page; None: everybody may.
    """

    service: Service
    titles: Titles
    figures: Callable[[], Awaitable[bytes]] | None = None
    may: Callable[[Request], Awaitable[bool]] | None = None

    def get(self, path: str, handler: Handler, *, open_to_all: bool = False) -> Route:
        """A screen."""
        return Route(path, self._screen(handler, open_to_all), methods=["GET"])

    def post(self, path: str, handler: Handler, *, open_to_all: bool = False) -> Route:
        """What a form is sent to; forms of other sites are refused."""

        async def guarded(request: Request) -> Response:
            refuse_foreign_form(request)
            return await handler(request)

        return Route(path, self._screen(guarded, open_to_all), methods=["POST"])

    def _screen(self, handler: Handler, open_to_all: bool) -> Handler:
        @wraps(handler)
        async def screen(request: Request) -> Response:
            try:
                if self.may is not None and not open_to_all and not await self.may(request):
                    way = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                    values = {"next": way if request.method == "GET" else "/", "wrong": False}
                    return render("key.html", values, status=401)
                return await handler(request)
            except Refusal as refusal:
                return refused(outside_words(refusal), refusal.status, _before(request))
            except InputError as error:
                return refused(str(error), 400, _before(request))

        return screen


def render(template: str, values: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    """A screen from its template."""
    text = _environment().get_template(template).render(values)
    return HTMLResponse(text, status, HEADERS)


def refused(message: str, status: int, back: str = "/") -> HTMLResponse:
    """A no as a screen."""
    return HTMLResponse(refused_page(message, status, back), status, HEADERS)


def refused_page(message: str, status: int, back: str = "/") -> str:
    """The text of a screen that says no.

    Args:
        message: why, in a sentence.
        status: HTTP's.
        back: the screen that was there before.
    """
    values = {"message": message, "status": status, "name": _name_of(status), "back": back}
    return _environment().get_template("no.html").render(values)


def _name_of(status: int) -> str:
    """What a status is called, for people."""
    return _NAMES.get(status, "That did not work")


def _before(request: Request) -> str:
    """The screen of this server from which a request came; the first one where none is said."""
    try:
        came = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    again = request.method == "GET" and came.path == request.url.path
    if again or came.netloc != request.headers.get("host") or came.path[:2] in ("", "//"):
        return "/"
    return f"{came.path}?{came.query}" if came.query else came.path


def see(path: str) -> RedirectResponse:
    """After a form: the screen that shows what it did, so that reloading sends nothing again."""
    return RedirectResponse(path, 303, HEADERS)


def refuse_foreign_form(request: Request) -> None:
    """Refuse a form that another site's page sends in somebody's name.

    Raises:
        Forbidden: the browser says so, or nothing says where the form came from.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    host = request.headers.get("host", "")
    if site is not None and site != "same-origin":
        raise Forbidden("This form was sent from another site's page: open this page itself and try again.")
    if origin is not None and not is_own(origin, host):
        raise Forbidden("This form was sent from another site's page: open this page itself and try again.")
    if origin is None and site is None:
        raise Forbidden(
            "Nothing says which page this form was sent from (neither Origin nor Sec-Fetch-Site): use a "
            "browser, or the programs' interface under /v1."
        )


async def form_of(request: Request) -> dict[str, list[str]]:
    """The fields of a form, each with everything that was sent under its name.

    Raises:
        TooBig: it is longer than any form of this page.
        Refusal: it is no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal(
            f"Expected a form (application/x-www-form-urlencoded), found {kind or 'nothing'!r}.", 415
        )
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _FORM_BYTES:
            raise TooBig(f"A form of this page has at most {_FORM_BYTES:,} bytes.")
    try:
        return parse_qs(
            body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise Refusal(f"The form is not UTF-8, or has more than {_MOST_FIELDS} fields.") from None


def field_of(form: Mapping[str, list[str]], name: str, longest: int = 256) -> str:
    """One field of a form; empty where it is missing.

    Raises:
        Refusal: it is longer than anything that belongs there, or cannot be kept.
    """
    return checked((form.get(name) or [""])[0], name, longest)


def checked(text: str, name: str, longest: int = 256) -> str:
    """A text from outside that may be kept and looked for.

    Raises:
        Refusal: it is too long, holds U+0000 or half a character.
    """
    if len(text) > longest:
        raise Refusal(f"{name} has at most {longest} characters, found {len(text):,}.")
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Refusal(f"{name} holds a character that cannot be kept: leave it out.")
    return text


def static_route() -> Route:
    """The page's own style and script, under names that change with what is in them."""

    async def static(request: Request) -> Response:
        found = _assets().get(request.path_params["name"])
        if found is None:
            return refused(str(NotFound("There is no such file.")), 404)
        media_type, content = found
        return Response(content, headers={**HEADERS, "Content-Type": media_type, "Cache-Control": FOREVER})

    return Route("/static/{name}", static, methods=["GET"])


@cache
def _assets() -> dict[str, tuple[str, bytes]]:
    """Name with hash -> its type and content."""
    found = {}
    for one in files("matinee.serve.page").joinpath("static").iterdir():
        stem, _, kind = one.name.rpartition(".")
        if kind in _TYPES:
            content = one.read_bytes()
            found[f"{stem}-{blake2b(content, digest_size=6).hexdigest()}.{kind}"] = (_TYPES[kind], content)
    return found


def asset(name: str) -> str:
    """The address of one of the page's files."""
    stem, _, kind = name.rpartition(".")
    path = next(one for one in _assets() if one.startswith(f"{stem}-") and one.endswith(f".{kind}"))
    return f"/static/{path}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("matinee.serve.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset
    environment.filters["coded"] = coded
    for name in ("counted", "dollars", "figure", "megabytes", "milliseconds", "percent", "seconds"):
        environment.globals[name] = getattr(numbers, name)
    return environment
