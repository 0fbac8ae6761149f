from django.http import JsonResponse
from django.urls import path


def whoami(request):
    if not request.user.is_authenticated:
        return JsonResponse({"error": "this request did not come through Postern"}, status=401)
    groups = sorted(group.name for group in request.user.groups.all())
    return JsonResponse({"sub": request.user.username, "email": request.user.email, "groups": groups})


urlpatterns = [path("", whoami)]
