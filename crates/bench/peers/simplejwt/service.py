"""SimpleJWT as a team would run it: token views, rotation, blacklist, a user table on SQLite.

DATA names a folder. `python service.py` sets it up; gunicorn then serves `service:application`. Passwords are hashed
with MD5: what is measured is everything else.
"""

import os
from datetime import timedelta
from pathlib import Path

import django
from django.conf import settings

DATA = Path(os.environ["DATA"])
KEY = DATA / "key.pem"

settings.configure(
    # Django demands one; it signs no token.
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    # The one of Django's usual that says how long an answer is.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt.token_blacklist",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA / "service.db",
            # Kept open, and as durable as Attesto's.
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
                "transaction_mode": "IMMEDIATE",
            },
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    },
    SIMPLE_JWT={
        "ALGORITHM": "RS256",
        "SIGNING_KEY": KEY.read_text() if KEY.exists() else "",
        "VERIFYING_KEY": (DATA / "public.pem").read_text() if KEY.exists() else "",
        "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
        "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
        "ISSUER": "https://auth.example.com",
        "AUDIENCE": "shop",
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402  (Django must be configured first)
from django.urls import path  # noqa: E402
from rest_framework_simplejwt import views  # noqa: E402

urlpatterns = [
    path("api/token/", views.TokenObtainPairView.as_view()),
    path("api/token/refresh/", views.TokenRefreshView.as_view()),
    path("api/token/verify/", views.TokenVerifyView.as_view()),
]

application = get_wsgi_application()


def set_up():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from django.contrib.auth.models import User
    from django.core.management import call_command

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (DATA / "public.pem").write_bytes(public)
    KEY.write_bytes(private)
    call_command("migrate", verbosity=0)
    User.objects.create_user("grace", password="correct horse battery")


if __name__ == "__main__":
    set_up()
