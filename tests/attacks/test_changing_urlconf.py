"""Django: an open view is expected, and another one is reached."""

from types import ModuleType

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.utils.deprecation import MiddlewareMixin

from jwt_middleware.integrations.django_settings import MIDDLEWARE
from tests.support import django_project

django_project.ready()


@login_not_required
def welcome(request: HttpRequest) -> HttpResponse:
    return HttpResponse("welcome")


def secrets(request: HttpRequest) -> HttpResponse:
    return HttpResponse("secrets")


urlpatterns = [path("", welcome)]

tenant = ModuleType("tenant")
tenant.urlpatterns = [path("", secrets)]  # type: ignore[attr-defined]


class Tenant(MiddlewareMixin):
    """Chooses the addresses of a tenant, behind the guard."""

    def process_request(self, request: HttpRequest) -> None:
        request.urlconf = tenant  # type: ignore[assignment]


class Opened(MiddlewareMixin):
    """Chooses the open addresses, in front of the guard."""

    def process_request(self, request: HttpRequest) -> None:
        request.urlconf = __name__


OPTIONS = {"KEY": b"0123456789abcdefghijklmnopqrstuv", "ALGORITHMS": ["HS256"]}


@pytest.mark.parametrize(
    ("behind", "status"), [([], 200), ([f"{__name__}.Tenant"], 401)], ids=["expected", "another"]
)
def test_an_exemption_is_that_of_the_view_that_runs(behind: list[str], status: int) -> None:
    """Whatever a middleware behind the guard makes of the address."""
    chosen = {"ROOT_URLCONF": __name__, "JWT_MIDDLEWARE": OPTIONS}
    with override_settings(MIDDLEWARE=[MIDDLEWARE, *behind], **chosen):
        assert Client().get("/").status_code == status
        assert async_to_sync(AsyncClient().get)("/").status_code == status


def test_the_addresses_of_a_tenant_chosen_before_count() -> None:
    """What is exempt in the project need not be in the tenant's."""
    chosen = {"ROOT_URLCONF": tenant, "JWT_MIDDLEWARE": OPTIONS}
    with override_settings(MIDDLEWARE=[f"{__name__}.Opened", MIDDLEWARE], **chosen):
        assert Client().get("/").status_code == 200
