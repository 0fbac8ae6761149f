"""Django's RemoteUser, of the assertion that Postern signs instead of a header that anybody can send.

MIDDLEWARE: "postern.PosternUserMiddleware" after AuthenticationMiddleware.
AUTHENTICATION_BACKENDS: "postern.PosternBackend".
"""

import jwt
from django.conf import settings
from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.models import Group

keys = jwt.PyJWKClient(settings.POSTERN_JWKS_URL, timeout=5)


class PosternUserMiddleware(RemoteUserMiddleware):
    """Signs in whoever the assertion names, and out whoever comes without one."""

    # A name that no header of a request becomes: WSGI puts HTTP_ before those.
    header = "postern.user"

    def process_request(self, request):
        request.META.pop(self.header, None)
        claims = verified(request.META.get("HTTP_X_POSTERN_JWT_ASSERTION"))
        request.postern = claims or {}
        if claims:
            # The id never changes and is never given away again; an address may be both.
            request.META[self.header] = claims["sub"]
        super().process_request(request)


class PosternBackend(RemoteUserBackend):
    """Users are made when they first come; address and groups are those of each sign-in."""

    def configure_user(self, request, user, created=True):
        user.email = request.postern.get("email", "")
        user.save()
        user.groups.set(Group.objects.get_or_create(name=name)[0] for name in request.postern.get("groups", []))
        return user


def verified(assertion):
    """The claims; None: nobody's."""
    try:
        return jwt.decode(
            assertion or "",
            keys.get_signing_key_from_jwt(assertion or ""),
            algorithms=["ES256", "RS256"],
            audience=settings.POSTERN_AUDIENCE,
            issuer=settings.POSTERN_ISSUER,
            options={"require": ["exp", "aud", "iss", "sub"]},
        )
    except jwt.PyJWTError:
        return None
