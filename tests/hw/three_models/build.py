"""Builds the posix firmware with one model in it: build.py ARTEFACT SHA256. Counts its runs in runs.txt."""

import subprocess
import sys
from pathlib import Path

from pytest_quantcheck.graph.read import read_graph
from pytest_quantcheck.image.compile import compile_image

artefact, sha256 = sys.argv[1:]
image = compile_image(read_graph(Path(artefact).read_bytes())).data
header = f'#define MODEL_SHA256 "{sha256}"\n#define MODEL_IMAGE {", ".join(map(str, image))}\n'
Path("firmware/runtimes/three/model.h").write_text(header)
make = ["make", "-j2", "-s", "-C", "firmware", "posix", "RUNTIME=three", f"PYTHON={sys.executable}"]
subprocess.run(make, check=True)
with Path("runs.txt").open("a") as runs:
    runs.write(f"{sha256}\n")
