"""Who may ask."""

import pytest

from eyespot.serving.guard import Access, hosts_for
from eyespot.serving.limits import is_loopback
from tests.serving import raw
from tests.serving.conftest import CORRECTIONS, PREDICT, Running, Start, digit

SEVEN = digit(7)
TOKEN = "a-long-and-secret-token"  # noqa: S105 - of a test
GUARDED = ("/v1/models", "/v1/models/digits", "/metrics")
OPEN = ("/health/live", "/health/ready", "/", "/page/page.js", "/openapi.json")


def test_a_token_is_asked_for(start: Start):
    """Without it, with another, or in another way, /v1 and /metrics are closed; the page and health are open."""
    client = start(access=Access(token=TOKEN)).client
    wrong = (None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer é")
    for given in wrong:
        headers = [(b"authorization", given.encode("latin-1"))] if given is not None else []
        for path in GUARDED:
            answer = client.get(path, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert client.post(PREDICT, content=SEVEN, headers=headers).status_code == 401
    right = {"authorization": f"Bearer {TOKEN}"}
    assert all(client.get(path, headers=right).status_code == 200 for path in GUARDED)
    assert client.post(PREDICT, content=SEVEN, headers=right).status_code == 200
    assert all(client.get(path).status_code == 200 for path in OPEN)
    assert client.get("/openapi.json").json()["paths"][PREDICT.replace("digits", "{name}")]["post"]["security"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example", "[::2]", "localhost@x"]
)
def test_other_names_are_not_the_servers(shared: Running, host: str):
    """On loopback, a page whose name is made to mean this machine gets nothing (DNS rebinding)."""
    for path in ("/v1/models", "/", "/metrics", "/openapi.json"):
        got = raw.ask(shared.port, raw.head("GET", path, "Connection: close", host=host))
        assert got is not None
        assert (got.status, got.json()["reason"]) == (421, "host")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST:8000", "localhost.", "[::1]:8000", "127.0.0.1:1"]
)
def test_its_own_names_are(shared: Running, host: str):
    """Any port, since a tunnel may change it."""
    got = raw.ask(shared.port, raw.head("GET", "/v1/models", "Connection: close", host=host))
    assert got is not None
    assert got.status == 200


def test_names_can_be_allowed():
    """Behind a proxy; and where everybody can reach the server, it does not know its names."""
    allowed = hosts_for("127.0.0.1", ("Example.org",))
    assert allowed is not None
    assert "example.org" in allowed
    assert hosts_for("0.0.0.0", ()) is None  # noqa: S104 - nothing is bound
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "example.org"))  # noqa: S104 - as above


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://[::1"},
    ],
)
def test_other_sites_pages_may_not_send(shared: Running, headers: dict[str, str]):
    """A form on another page can neither save a correction nor ask for a prediction."""
    for path in (f"{CORRECTIONS}?label=7", PREDICT):
        answer = shared.client.post(path, content=SEVEN, headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (403, "origin")


def test_its_own_page_may(shared: Running):
    """As browsers send it."""
    for headers in ({"origin": shared.address, "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}):
        assert shared.client.post(PREDICT, content=SEVEN, headers=headers).status_code == 200


def test_other_sites_see_nothing_unless_they_are_allowed(start: Start, shared: Running):
    """CORS is off by default; an allowed site's preflights and answers, refusals too, have what browsers look for."""
    origin = "https://example.org"
    asking = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    assert shared.client.options(PREDICT, headers=asking).status_code == 405
    assert "access-control-allow-origin" not in shared.client.get("/v1/models", headers={"origin": origin}).headers
    client = start(access=Access(token=TOKEN, origins=(origin,))).client
    preflight = client.options(PREDICT, headers=asking)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, origin)
    for headers, status in (({}, 401), ({"authorization": f"Bearer {TOKEN}"}, 200)):
        answer = client.post(PREDICT, content=SEVEN, headers={"origin": origin, **headers})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, origin)
    assert client.post(PREDICT, content=SEVEN, headers={"origin": "https://evil.example"}).status_code == 401
    assert client.options(PREDICT, headers={**asking, "origin": "https://evil.example"}).status_code == 400


def test_the_page_can_load_nothing_from_elsewhere(shared: Running):
    """Its policy names no other place and allows nothing inline; files of Python are no files of the page."""
    page = shared.client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not {"unsafe-inline", "unsafe-eval", "http", "*"} & set(policy.replace("'", "").replace(";", "").split())
    assert (page.headers["x-content-type-options"], page.headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert shared.client.get("/page/page.js").headers["content-type"].startswith("text/javascript")
    kept = shared.client.get(
        "/page/page.js", headers={"if-none-match": shared.client.get("/page/page.js").headers["etag"]}
    )
    assert (kept.status_code, kept.content) == (304, b"")
    for name in (
        "__init__.py",
        "nothing.js",
        "../__init__.py",
        "%2e%2e/errors.py",
        "..%2f..%2fetc%2fpasswd",
        "local",
        "",
    ):
        assert shared.client.get(f"{shared.address}/page/{name}").status_code == 404
    assert shared.client.get(f"{shared.address}/docs").status_code == 404
