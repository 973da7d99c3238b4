"""Makes the sandbox's administrator and both its tokens; runs inside NetBox's own environment."""

import json
import os
from pathlib import Path

import django  # type: ignore[import-not-found]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "netbox.settings")
django.setup()

from users.models import Token, User  # type: ignore[import-not-found]  # noqa: E402

instance = json.loads(Path(os.environ["FABRIC_SYNC_NETBOX_INSTANCE"]).read_text(encoding="utf-8"))
user = User.objects.create_superuser(instance["username"], "", instance["password"])
key, _, secret = instance["token_v2"].removeprefix("nbt_").partition(".")
Token(user=user, version=2, key=key, token=secret, description="sandbox").save()
Token(user=user, version=1, token=instance["token_v1"], description="sandbox, old form").save()
