"""Integrations with web frameworks. Each module needs only its own framework."""

from jwt_middleware.integrations.coverage import coverage

__all__ = ["coverage"]
