"""Says if the user asked for tests in other versions of the runtimes."""

import os

import conftest

ENABLE = "NIBBLE_VERSIONS"


def need(request):
    """Skips the test with a loud message unless the user asked for other runtimes."""
    if os.environ.get(ENABLE) != "1":
        conftest.skip_for(request, f"other runtimes: set {ENABLE}=1",
                          f"installs other runtimes into build/: set {ENABLE}=1")
