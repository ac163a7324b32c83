"""pynenc's own ThreadRunner, ended when it has had nothing to do for some seconds: what a Job's pod has to do.

It runs in the pods of a ScaledJob, from a ConfigMap, with nothing of this project at hand.
"""

import importlib
import threading
import time

IDLE_SECONDS = 5.0
# Asked for once: pynenc makes the runner at the first use, and two threads that are the first would have one each.
runner = importlib.import_module("reports.tasks").app.runner


def end_when_idle() -> None:
    """Stop the runner when it has been without a task for so long, as if Ctrl-C were pressed."""
    busy = time.monotonic()
    while time.monotonic() - busy < IDLE_SECONDS:
        if any(task.thread.is_alive() for task in list(runner.threads.values())):
            busy = time.monotonic()
        time.sleep(0.1)
    runner.stop_runner_loop()


if __name__ == "__main__":
    threading.Thread(target=end_when_idle, daemon=True).start()
    runner.run()
