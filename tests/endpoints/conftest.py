"""Django has to be configured before its models are imported, which tests do at their top."""

from tests.support import django_project

django_project.ready()
