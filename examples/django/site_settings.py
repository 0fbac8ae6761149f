"""As much of a project as the example needs."""

import os

POSTERN_JWKS_URL = os.environ.get("JWKS_URL", "http://127.0.0.1:8080/.well-known/postern/jwks.json")
# The host that people ask for. Without it a token for another application would do.
POSTERN_AUDIENCE = os.environ.get("AUDIENCE", "app.localhost")
POSTERN_ISSUER = os.environ.get("ISSUER", POSTERN_AUDIENCE)

SECRET_KEY = "opens nothing real"
ALLOWED_HOSTS = [".localhost", "127.0.0.1"]
# People may have come by https, and Django compares the Origin of forms.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
ROOT_URLCONF = "urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("DATABASE", "db.sqlite3")},
}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "postern.PosternUserMiddleware",
]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
