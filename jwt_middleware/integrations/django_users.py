"""The user of a Django request: that of the verified token, or the one that Django knows."""

from functools import partial
from inspect import iscoroutinefunction as is_plain_coroutine_function
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.utils.functional import SimpleLazyObject

from jwt_middleware.integrations.django_settings import SESSIONS, UserOf
from jwt_middleware.principal import Principal, token_was_judged

# Where Django keeps the user of a request, and the key of what stood there before.
_PLACES = ("user", "auser", "_cached_user", "_acached_user")
_BEFORE = "_jwt_user_before"

# The user that was put there, and nothing else.
_PUT = "_jwt_user"

# Where the user that ``auser`` returned for the caller is kept.
_OURS = "_jwt_auser"


class JWTUser:
    """A caller with the attributes of a Django user, used if the project maps no user model.

    Its permissions are those of the token. A token alone never makes a caller staff or superuser.
    """

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.pk = self.id = self.username = principal.identity

    def get_username(self) -> str:
        """Return the identity."""
        return self.username

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Return whether the token carries a permission of that name."""
        return perm in self.principal.permissions

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        """Return whether the token carries all of these permissions."""
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        """Return whether the token carries any permission of an application."""
        return any(perm.startswith(f"{app_label}.") for perm in self.principal.permissions)

    def __str__(self) -> str:
        return self.principal.display_name


def put_user(request: Any, user_of: UserOf | None, principal: Principal) -> None:
    """Make the caller the user of a request, where Django looks for it.

    Without a token that was judged, the user that Django knows stays, such as that of a session.
    """
    own = vars(request)
    if not token_was_judged(principal):
        _give_back(request, own)
        return
    if _BEFORE not in own:
        own[_BEFORE] = {name: own[name] for name in _PLACES if name in own}
    # ``_cached_user`` is set too, because a later AuthenticationMiddleware sets ``user`` from it.
    request._cached_user = request.user = SimpleLazyObject(partial(_user, user_of, principal))
    own[_PUT] = request.user
    # Removed, because an earlier middleware may have cached the user of the session here.
    own.pop("_acached_user", None)
    own.pop(_OURS, None)
    request.auser = partial(_auser, request, user_of, principal)


def _give_back(request: Any, own: dict[str, Any]) -> None:
    """Restore the user that Django knows, if a token had replaced it."""
    own.pop(_PUT, None)
    if _BEFORE in own:
        before = own.pop(_BEFORE)
        for name in _PLACES:
            own.pop(name, None)
        own.update(before)
        if not before and "session" in own and SESSIONS in settings.MIDDLEWARE:
            # It is behind the guard and has run already, so it has set the caller as the user.
            AuthenticationMiddleware(lambda _: HttpResponse()).process_request(request)
    if "user" not in own:
        request.user = AnonymousUser()
        request.auser = _anonymous


def is_known_otherwise(request: Any) -> bool:
    """Return whether other code has named a user that is neither of a token nor of a session."""
    own = vars(request)
    put = own.get(_PUT)
    # The lazy user of a session returns these instead of looking for one.
    if own.get("_cached_user") is not put or "_acached_user" in own:
        return True
    return _is_of_others(own.get("user"), put) or _is_asked_of_others(own.get("auser"))


def _is_of_others(user: Any, put: Any) -> bool:
    if type(user) is SimpleLazyObject and user is not put:
        # To ask for that of a session reads the session. Others may be lazy too.
        made_by = object.__getattribute__(user, "__dict__").get("_setupfunc")
        return getattr(made_by, "__module__", None) != _SESSIONS_MODULE
    return user is not put and user is not None and type(user) is not AnonymousUser


def _is_asked_of_others(auser: Any) -> bool:
    asked = getattr(getattr(auser, "func", auser), "__module__", None)
    return auser is not None and asked not in {_SESSIONS_MODULE, __name__}


async def _anonymous() -> AnonymousUser:
    return AnonymousUser()


def claim_auser(request: Any, user_of: UserOf | None, principal: Principal) -> None:
    """Restore ``auser`` if a later AuthenticationMiddleware has replaced it."""
    is_theirs = (
        getattr(getattr(request, "auser", _auser), "func", _auser).__module__ == _SESSIONS_MODULE
    )
    if token_was_judged(principal) and is_theirs:
        request.auser = partial(_auser, request, user_of, principal)


_SESSIONS_MODULE = AuthenticationMiddleware.__module__


def _user(user_of: UserOf | None, principal: Principal) -> Any:
    if not principal.is_authenticated:
        return AnonymousUser()
    if user_of is None:
        return JWTUser(principal)
    ask = async_to_sync(user_of) if is_plain_coroutine_function(user_of) else user_of
    return _active(ask(principal))


def _active(user: Any) -> Any:
    """Return a user, or the anonymous user if the user is unknown or deactivated."""
    is_known = user and getattr(user, "is_authenticated", True)
    # A deactivated user counts as anonymous, because Django's own back ends do the same.
    return user if is_known and getattr(user, "is_active", True) else AnonymousUser()


async def _auser(request: Any, user_of: UserOf | None, principal: Principal) -> Any:
    # Not ``_acached_user``: Django's own ``auser`` may have put the user of the session there.
    if _OURS not in vars(request):
        if user_of is not None and is_plain_coroutine_function(user_of):
            known = await user_of(principal) if principal.is_authenticated else None
            setattr(request, _OURS, _active(known))
        else:
            # ``sync_to_async``, because a query of the ORM must run on the thread of the request.
            setattr(request, _OURS, await sync_to_async(_user)(user_of, principal))
    return getattr(request, _OURS)
