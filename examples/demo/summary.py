"""What came of the demo: figures for people and machines, and whatever was not as it must be. Pure."""

from collections import Counter
from dataclasses import dataclass

from examples.demo.observed import Observed

SUCCESS = "success"  # pynenc's status of a task that returned


@dataclass(frozen=True)
class Summary:
    """The demo's result. Durations are seconds; None where it did not come to that."""

    tasks: int
    executions: int
    lost: int  # tasks without a result
    peak_pods: int  # at one time, neither ended nor terminating
    pods_created: int
    back_to_zero: bool
    enqueue_to_first_pod_s: float | None
    enqueue_to_first_start_s: float | None
    last_task_to_zero_s: float | None
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, int | bool | float | None]:
        """The figures that DEMO_JSON gets."""
        return {
            "tasks": self.tasks,
            "executions": self.executions,
            "lost": self.lost,
            "peak_pods": self.peak_pods,
            "back_to_zero": self.back_to_zero,
            "enqueue_to_first_pod_s": self.enqueue_to_first_pod_s,
            "enqueue_to_first_start_s": self.enqueue_to_first_start_s,
            "last_task_to_zero_s": self.last_task_to_zero_s,
        }

    def lines(self) -> list[str]:
        """The figures for people."""
        return [
            f"tasks                    {self.tasks}",
            f"executions               {self.executions}",
            f"lost                     {self.lost}",
            f"pods                     {self.pods_created} created, at most {self.peak_pods} at a time",
            f"back to zero             {'yes' if self.back_to_zero else 'NO'}",
            f"enqueue to first pod     {_seconds(self.enqueue_to_first_pod_s)}",
            f"enqueue to first start   {_seconds(self.enqueue_to_first_start_s)}",
            f"last task to zero pods   {_seconds(self.last_task_to_zero_s)}",
        ]


def summarize(seen: Observed, *, max_pods: int, waited: float) -> Summary:
    """Compute the summary. `max_pods` is the runner's maxReplicas, `waited` how long the demo has watched."""
    times = Counter(execution.name for execution in seen.executions)
    succeeded = [name for name in seen.tasks if name in seen.finals and seen.finals[name].status == SUCCESS]
    lost = [name for name in seen.tasks if name not in succeeded]
    zero = not seen.pods and seen.emptied_at is not None and seen.all_final
    # The producer's and the workers' clocks are the cluster's, the watch's is ours.
    begun = None if seen.begun is None else seen.begun + seen.skew
    last = max((final.at for final in seen.finals.values()), default=None) if zero else None
    first = min((execution.started for execution in seen.executions), default=None)
    problems = [
        *(_lost(name, seen) for name in lost),
        *(f"task {name} ran {count} times" for name, count in sorted(times.items()) if count > 1),
        *(f"task {name} has a result, and no execution is recorded" for name in succeeded if not times[name]),
    ]
    if not seen.tasks:
        problems.append("nothing was enqueued")
    if seen.peak_pods > max_pods:
        problems.append(f"there were {seen.peak_pods} pods at a time, and maxReplicas is {max_pods}")
    if seen.tasks and not zero:
        left = ", ".join(f"{name} {state}" for name, state in sorted(seen.pods.items())) or "tasks without an end"
        problems.append(f"the pool was not back at zero after {waited:.0f} s: {left}")
    return Summary(
        tasks=len(seen.tasks),
        executions=len(seen.executions),
        lost=len(lost),
        peak_pods=seen.peak_pods,
        pods_created=len(seen.pods_seen),
        back_to_zero=zero,
        enqueue_to_first_pod_s=_between(begun, seen.first_pod_at),
        enqueue_to_first_start_s=_between(seen.begun, first),
        last_task_to_zero_s=_between(None if last is None else last + seen.skew, seen.emptied_at),
        problems=tuple(problems),
    )


def _lost(name: str, seen: Observed) -> str:
    if name in seen.finals:
        return f"task {name} ended as {seen.finals[name].status}"
    began = [execution for execution in seen.executions if execution.name == name]
    if began:
        return f"task {name} has no result; it began in {', '.join(execution.pod for execution in began)}"
    return f"task {name} never began"


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(end - start, 2)


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} s"
