"""Compile the standard library's byte code, where the base image came without it. Runs inside an image build."""

import compileall
import importlib.util
import re
import sys
import sysconfig
from pathlib import Path
from py_compile import PycInvalidationMode

UNUSED = re.compile(
    r"/(ensurepip|idlelib|lib2to3|test|tests|tkinter|turtledemo|site-packages|dist-packages)/"
)

library = sysconfig.get_path("stdlib")
# Debian's packages bring byte code; a second copy would be 30 MB in every image.
if not Path(importlib.util.cache_from_source(f"{library}/argparse.py")).exists():
    mode = PycInvalidationMode.UNCHECKED_HASH
    sys.exit(not compileall.compile_dir(library, rx=UNUSED, quiet=1, invalidation_mode=mode))
