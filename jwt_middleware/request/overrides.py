"""Overrides: headers and query parameters that change the route in some frameworks."""

from jwt_middleware.errors import PathInvalid
from jwt_middleware.request.view import RequestView, as_text
from jwt_middleware.rules.applications import Application


def said_besides(view: RequestView, application: Application) -> tuple[tuple[str, ...], ...]:
    """Return the overrides of a request as a value, which an inner guard can compare."""
    if not application.reads_more:
        return ()
    headers = (tuple(_variables(view, name)) for name in application.root_headers)
    parameters = (tuple(view.query(name)) for name in application.method_parameters)
    return (*headers, *parameters)


def refuse_other_method(view: RequestView, application: Application) -> None:
    """Refuse a request whose query names another method than the request itself.

    :raises PathInvalid: for such a request.
    """
    for name in application.method_parameters:
        if view.query(name):
            raise PathInvalid(f"the parameter {name} of the query would change the method")


def inner_root(view: RequestView, application: Application) -> str:
    """Return the prefix from a header that the application puts in front of the path.

    Pyramid does this with ``X-Vhm-Root`` if it finds no route.

    :raises PathInvalid: if the header was sent more than once.
    """
    found = [value for name in application.root_headers for value in _variables(view, name)]
    if len(found) > 1:
        raise PathInvalid("a header that the application puts in front of the path is repeated")
    return as_text(found[0]) if found else ""


def _variables(view: RequestView, name: str) -> list[str]:
    values: list[str] = getattr(view, "variables", view.headers)(name)
    return values
