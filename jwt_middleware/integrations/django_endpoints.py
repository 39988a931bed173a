"""Django and the endpoints of an issuer.

::

    urlpatterns = [path("auth/refresh", endpoint_view(RefreshEndpoint(pairs)))]
"""

from collections.abc import Callable

from jwt_middleware.checks import check_kind
from jwt_middleware.effects import run
from jwt_middleware.endpoint_errors import BodyTooLarge, EndpointRefused, ParametersInvalid
from jwt_middleware.endpoints.body import LONGEST
from jwt_middleware.endpoints.endpoint import Endpoint

try:
    from django.http import HttpRequest, HttpResponse
    from django.http.request import RawPostDataException, UnreadablePostError
    from django.views.decorators.csrf import csrf_exempt
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.django_endpoints needs Django: "
        "pip install 'asgi-wsgi-jwt[django]'"
    ) from None

from jwt_middleware.integrations.django import DjangoView


def endpoint_view(endpoint: Endpoint) -> Callable[[HttpRequest], HttpResponse]:
    """Return the view of an endpoint.

    Django's own check for forged requests is left out, because clients of an endpoint send no form
    of Django; with cookies the endpoint checks the origin itself.

    :raises ConfigurationError: if it is not an endpoint.
    """
    check_kind("endpoint", endpoint, Endpoint, "RefreshEndpoint(pairs)")

    def view(request: HttpRequest) -> HttpResponse:
        body = _body(request) if endpoint.reads_body else b""
        reply = run(endpoint.replying(DjangoView(request), body), endpoint.patience)
        response = HttpResponse(reply.body, status=reply.status)
        del response["Content-Type"]
        cookies = [text for name, text in reply.headers if name == "Set-Cookie"]
        for name, text in reply.headers:
            if name != "Set-Cookie":
                response[name] = text
        for cookie in cookies:
            response.cookies.load(cookie)
        return response

    return csrf_exempt(view)


def _body(request: HttpRequest) -> bytes | EndpointRefused:
    try:
        # What read it before has kept it.
        body: bytes = request.body if hasattr(request, "_body") else request.read(LONGEST + 1)
    except (UnreadablePostError, RawPostDataException):
        return ParametersInvalid("the body is cut short")
    if len(body) > LONGEST:
        return BodyTooLarge()
    # Django takes a length that is not a number for 0, and a body that is cut short for whole.
    length = request.META.get("CONTENT_LENGTH") or str(len(body))
    is_whole = length.isascii() and length.isdigit() and int(length[:20]) == len(body)
    return body if is_whole else ParametersInvalid("the body is cut short")
