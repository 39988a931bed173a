"""What makes a framework's developers feel at home. Each module needs its framework, no other."""

from jwt_middleware.integrations.coverage import coverage

__all__ = ["coverage"]
