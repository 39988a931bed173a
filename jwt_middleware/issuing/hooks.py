"""Hooks of the application, blocking or awaiting, as effects."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable, iscoroutine
from typing import Any

from jwt_middleware.checks import listed, shown
from jwt_middleware.effects import Untimed
from jwt_middleware.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class HookFailed:
    """The answer of a hook that raised."""

    problem: Exception


@dataclass(frozen=True, slots=True)
class Call(Untimed):
    """The effect of calling a hook.

    A hook runs on the thread of its caller, in its context, and nothing limits how long it takes:
    its own calls must have limits. The store that is asked after it has all of its time left.
    """

    hook: Callable[..., Any]
    arguments: tuple[Any, ...]

    def perform(self, deadline: float) -> object:
        """Call a plain hook."""
        try:
            answer = self.hook(*self.arguments)
        except StopIteration:
            return HookFailed(_must_not_stop(self.hook))
        except Exception as problem:  # noqa: BLE001 - raised again where the hook was asked
            return HookFailed(problem)
        if isawaitable(answer):
            if iscoroutine(answer):
                answer.close()
            return HookFailed(_must_await(self.hook))
        return answer

    async def aperform(self, deadline: float) -> object:
        """Call a hook, and await what it returns if that is awaitable."""
        try:
            answer = self.hook(*self.arguments)
            return await answer if isawaitable(answer) else answer
        except StopIteration:
            return HookFailed(_must_not_stop(self.hook))
        except Exception as problem:  # noqa: BLE001 - raised again where the hook was asked
            return HookFailed(problem)


def _name_of(hook: Callable[..., Any]) -> str:
    return str(getattr(hook, "__qualname__", type(hook).__qualname__))


def _must_not_stop(hook: Callable[..., Any]) -> ConfigurationError:
    # It cannot be raised where the hook was asked: to Python it is the end of the steps there.
    return ConfigurationError(
        f"the hook {_name_of(hook)} raised StopIteration: write next(found, None), and raise an "
        "error that says what is missing"
    )


def _must_await(hook: Callable[..., Any]) -> ConfigurationError:
    return ConfigurationError(
        f"the hook {_name_of(hook)} is async, and a blocking call cannot await it: use the call "
        "that begins with 'a', such as amint(), or write a plain function"
    )


def check_hook(name: str, hook: Any) -> Any:
    """Return a hook, checked.

    :raises ConfigurationError: if it cannot be called.
    """
    if hook is not None and not callable(hook):
        raise ConfigurationError(f"{name}={shown(hook)} must be a function: write {name}=its_name")
    return hook


def checked_observers(observers: Any) -> tuple[Any, ...]:
    """Return observers, checked.

    :raises ConfigurationError: for anything else than a list of functions.
    """
    found = listed("observers", observers, "[its_name]")
    for each in found:
        if not callable(each):
            raise ConfigurationError(
                f"observers: {shown(each)} must be a function: write observers=[its_name]"
            )
    return found
