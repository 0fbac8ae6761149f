"""pip install -r requirements.txt && python manage.py migrate && python manage.py runserver 3000; in front of it: postern dev --to http://localhost:3000"""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
execute_from_command_line(sys.argv)
