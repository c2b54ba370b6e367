"""A Django REST Framework service that trusts Attesto: no user table, no database, no keys.

Everything it knows about the authority is in the environment: ISSUER and AUDIENCE, and JWKS_URL if the key set is
not at its usual place. It listens on a free port of 127.0.0.1 and prints where.
"""

import os
import secrets

import django
import waitress
from django.conf import settings

ISSUER = os.environ["ISSUER"]

settings.configure(
    # Django demands one; it checks no token.
    SECRET_KEY=secrets.token_hex(),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    # SimpleJWT imports the user model, though no database could hold one here.
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTStatelessUserAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
    SIMPLE_JWT={
        "ALGORITHM": "RS256",
        "JWK_URL": os.environ.get("JWKS_URL", f"{ISSUER}/.well-known/jwks.json"),
        "ISSUER": ISSUER,
        "AUDIENCE": os.environ["AUDIENCE"],
        "LEEWAY": 5,
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402  (Django must be configured first)
from django.urls import path  # noqa: E402
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.response import Response  # noqa: E402


@api_view(["GET"])
def whoami(request):
    return Response({"user_id": request.user.id, "claims": request.auth.payload})


urlpatterns = [path("whoami", whoami)]

if __name__ == "__main__":
    server = waitress.create_server(get_wsgi_application(), listen="127.0.0.1:0")
    print(f"listening on http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()
