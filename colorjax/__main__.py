"""`python -m colorjax` is the console command."""

import sys

from colorjax.cli import main

sys.exit(main())
