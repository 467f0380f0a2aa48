"""Which trials of a sweep are the best."""

from collections.abc import Mapping, Sequence

from pipeline.sweeps.jobs import Result


def ranked(results: Sequence[Result], objectives: Mapping[str, str]) -> list[Result]:
    """Trials that have finished, the best by the first objective first; of equals the earlier one.

    Args:
        results: Of the trials.
        objectives: Names of measures with max or min.
    """
    name = next(iter(objectives))
    finished = [result for result in results if result.status == "FINISHED" and name in result.values]
    return sorted(finished, key=lambda result: (_cost(result, name, objectives), result.trial.number))


def front(results: Sequence[Result], objectives: Mapping[str, str]) -> list[Result]:
    """Trials that no other one beats in one objective without losing in another (the Pareto front).

    Args:
        results: Of the trials.
        objectives: Names of measures with max or min.

    Returns:
        With one objective its best trials; best by the first objective first.
    """
    finished = ranked(results, objectives)
    costs = [[_cost(result, name, objectives) for name in objectives] for result in finished]
    return [
        result
        for result, cost in zip(finished, costs, strict=True)
        if not any(_beats(other, cost) for other in costs)
    ]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(left <= right for left, right in zip(one, other, strict=True))


def _cost(result: Result, name: str, objectives: Mapping[str, str]) -> float:
    """Less is better."""
    return -result.values[name] if objectives[name] == "max" else result.values[name]
