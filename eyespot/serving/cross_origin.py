"""Other sites' pages, where they are allowed to ask."""

from starlette.middleware.cors import CORSMiddleware

from eyespot.serving.asgi import App


def cross_origin(app: App, origins: tuple[str, ...]) -> App:
    """Adds what browsers want to see (CORS)."""
    allowed: App = CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "Content-Type", "X-Request-ID"),
        expose_headers=("X-Request-ID", "Retry-After"),
    )
    return allowed
