"""Whether tests in other versions of the runtimes are asked for."""

import os

import conftest

ENABLE = "NIBBLE_VERSIONS"


def need(request):
    """Skips the test, and says so loudly, unless other runtimes are asked for."""
    if os.environ.get(ENABLE) != "1":
        conftest.skip_for(request, f"other runtimes: set {ENABLE}=1",
                          f"installs other runtimes into build/: set {ENABLE}=1")
