"""One Django project for all tests of a process, which Django configures once."""

from functools import cache

import django
from django.conf import settings
from django.core.management import call_command


@cache
def ready() -> None:
    """Configure Django, once; there is a database in memory."""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="x" * 50,
        ROOT_URLCONF=(),
        LOGGING_CONFIG=None,
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "rest_framework",
            "jwt_middleware.integrations.django_settings.JWTConfig",
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                # Shared, since async views query on a thread of their own.
                "NAME": "file:project?mode=memory&cache=shared",
            }
        },
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    )
    django.setup()


@cache
def migrated() -> None:
    """Make the tables, once."""
    ready()
    call_command("migrate", verbosity=0)
