"""An app that takes a minute to load."""

import os
import time
from pathlib import Path

(Path(os.environ["JOBS_FOLDER"]) / "loading").touch()
time.sleep(60)
