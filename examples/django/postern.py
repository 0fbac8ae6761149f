"""Django's RemoteUser, of the assertion that Postern signs instead of a header that anybody can send.

MIDDLEWARE: "postern.PosternUserMiddleware" after AuthenticationMiddleware.
AUTHENTICATION_BACKENDS: "django.contrib.auth.backends.RemoteUserBackend", which makes users when they first come.
"""

import jwt
from django.conf import settings
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.models import Group

keys = jwt.PyJWKClient(settings.POSTERN_JWKS_URL, timeout=5)


class PosternUserMiddleware(RemoteUserMiddleware):
    """Signs in whoever the assertion names, with address and groups as it says, and out whoever comes without one."""

    # What is below would not be asked otherwise.
    async_capable = False
    # A name that no header of a request becomes: WSGI puts HTTP_ before those.
    header = "postern.user"

    def process_request(self, request):
        request.META.pop(self.header, None)
        claims = verified(request.META.get("HTTP_X_POSTERN_JWT_ASSERTION"))
        if claims:
            # The id never changes and is never given away again; an address may be both.
            request.META[self.header] = claims["sub"]
        super().process_request(request)
        if claims and request.user.is_authenticated:
            follow(request.user, claims)


def follow(user, claims):
    """With each request: a session of Django's lasts for weeks, and whoever has left a group has left it now."""
    email, groups = claims.get("email", ""), set(claims.get("groups", []))
    if user.email != email:
        user.email = email
        user.save(update_fields=["email"])
    if groups != set(user.groups.values_list("name", flat=True)):
        user.groups.set(Group.objects.get_or_create(name=name)[0] for name in groups)


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
