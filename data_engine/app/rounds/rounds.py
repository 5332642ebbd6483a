"""The rounds of this workspace: told from lineage, recorded as they end, and held against what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from data_engine.app.annotation.costs import cost_model, minutes_worked
from data_engine.app.engine import Engine
from data_engine.app.rounds.round_labour import Reviewed, reviewed
from data_engine.app.selection.filter_context import usual_boxes
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import champions, job_times, models
from data_engine.lineage import rounds as lineage
from data_engine.lineage.database import Connection
from data_engine.lineage.rounds import Ending, Round

if TYPE_CHECKING:
    from data_engine.stages.rounds import Gain, Room, Verdict
    from data_engine.types.evaluation import Evaluation, EvaluationSet


def told(engine: Engine) -> list[Round]:
    """All rounds that ended, also those that were walked by hand and that nobody recorded; in their order.

    What is recorded stays as it was; only a model that was trained anew on the newest version changes its round.
    """
    kind = engine.settings.retrain.kind
    with engine.database.read() as connection:
        recorded = {one.number: one for one in lineage.told(connection)}
        found: list[Round] = []
        low, since = 0, ""
        for number, ending in enumerate(lineage.endings(connection, kind), 1):
            known = recorded.get(number)
            if known is None or (known.version, known.model_after) != (ending.version, ending.model_id):
                known = _derived(engine, connection, number, ending, low, since, known)
            found.append(known)
            low, since = ending.version, ending.at
    return found


def record(engine: Engine) -> list[Round]:
    """Record the rounds that ended; a second time, nothing changes."""
    found = told(engine)
    with engine.database.write() as connection:
        recorded = {one.number: one for one in lineage.told(connection)}
        for one in found:
            if recorded.get(one.number) != one:
                lineage.put(connection, one)
    return found


def _derived(
    engine: Engine, connection: Connection, number: int, ending: Ending, low: int, since: str, open: Round | None
) -> Round:
    """A round as lineage tells of it; the minutes of jobs whose beginning nobody saw are those that are expected.

    Args:
        engine: the workspace.
        connection: to its database.
        number: of the round.
        ending: the version and model that end it.
        low: number of the version that the round before ended with, or 0.
        since: when the round before ended.
        open: what was recorded of it while it was under way.
    """
    cost = cost_model(engine)
    chosen = lineage.choice(connection, since, ending.at)
    parts = lineage.labelled(connection, low, ending.version)
    by_people = [part for part in parts if not part.imported]
    first = [part for part in by_people if part.first]
    seen = minutes_worked(job_times.changes(connection), job_times.contents(connection), cost)
    minutes = sum(
        seen.get(part.job_id, part.frames * cost.minutes_per_frame + part.boxes * cost.minutes_per_box)
        for part in first
    )
    return Round(
        number=number,
        begun_at=chosen.begun_at if chosen is not None else (open.begun_at if open is not None else ending.at),
        ended_at=ending.at,
        version=ending.version,
        model_before=None if chosen is None else chosen.model_id,
        model_after=ending.model_id,
        pool=None if chosen is None else chosen.pool,
        chosen=None if chosen is None else chosen.chosen,
        frames=sum(part.frames for part in by_people),
        boxes=sum(part.boxes for part in by_people),
        imported=sum(part.frames for part in parts if part.imported),
        jobs=len(first),
        jobs_timed=sum(part.job_id in seen for part in first),
        minutes=minutes,
        cpu_s={} if open is None else open.cpu_s,
    )


def count_cpu(engine: Engine, step: str, seconds: float) -> None:
    """Add to what the round that is under way has cost this machine, or the one that has just ended with this step."""
    with engine.database.write() as connection:
        recorded = lineage.told(connection)
        ended = len(lineage.endings(connection, engine.settings.retrain.kind))
        # The round under way is the one after the last that ended; a training ends the one that it belongs to.
        number = ended if step == "retrain" and ended else ended + 1
        one = next((each for each in recorded if each.number == number), None) or Round(number, engine.now())
        lineage.put(connection, replace(one, cpu_s={**one.cpu_s, step: one.cpu_s.get(step, 0.0) + seconds}))


def measure(engine: Engine, one: Round) -> Round:
    """The round with what its model reaches, and recorded so; unchanged where there is nothing to measure it on."""
    from data_engine.app.models.evaluate import evaluate, evaluation_set

    if one.metrics is not None or one.model_after is None:
        return one
    with engine.database.read() as connection:
        model = models.by_id(connection, one.model_after)
    if model is None:
        return one
    try:
        reached = evaluate(engine, model, on := evaluation_set(engine, None))
    except (MissingInputError, DamagedInputError) as error:
        engine.notes.append(f"round {one.number} was not measured: {error.message}")
        return one
    one = replace(one, metrics=as_metrics(reached, on))
    with engine.database.write() as connection:
        lineage.put(connection, one)
    return one


def as_metrics(reached: Evaluation, on: EvaluationSet) -> dict[str, Any]:
    """The numbers of an evaluation that are kept with a round."""

    def interval(measured: Any) -> dict[str, Any]:
        return {"value": measured.value, "low": measured.low, "high": measured.high}

    return {
        "on": reached.on,
        "kind": on.kind,
        "digest": reached.data_digest,
        "images": reached.images,
        "boxes": reached.boxes,
        "map": interval(reached.overall.map),
        "map50": interval(reached.overall.map50),
        "ap50_per_class": {
            name: {**interval(scores.map50), "boxes": scores.boxes} for name, scores in reached.per_class.items()
        },
    }


@dataclass(frozen=True, slots=True)
class Budget:
    """What the round under way may still cost, and how much of the waiting frames that pays for."""

    number: int
    room: Room
    fit: frozenset[str] | None
    """Ids of the waiting frames that fit; None for all of them."""


def budget(engine: Engine, ended: Sequence[Round], waiting: Sequence[str]) -> Budget:
    """The budget of the round that is under way.

    Args:
        engine: the workspace.
        ended: the rounds before.
        waiting: frames of the newest selection that are in no task yet, the most wanted first.
    """
    from data_engine.stages.rounds import room

    settings = engine.settings.run
    if settings.frames_per_round is None and settings.minutes_per_round is None:
        return Budget(len(ended) + 1, room(settings, frames=0, minutes=0.0), None)
    usual, cost = usual_boxes(engine), cost_model(engine)
    since = (ended[-1].ended_at or "") if ended else ""
    with engine.database.read() as connection:
        of_round = lineage.choices_since(connection, since)
    minutes = {frame: cost.minutes(usual if boxes is None else boxes) for frame, (boxes, _in) in of_round.items()}
    with_people = {frame for frame, (_boxes, in_task) in of_round.items() if in_task}
    left = room(settings, frames=len(with_people), minutes=sum(minutes[frame] for frame in with_people))
    # What an earlier round chose and did not hand out is chosen anew, by the model that has learned since.
    ours = [frame for frame in waiting if frame in minutes and frame not in with_people]
    fit = ours[: left.first_that_fit([minutes[frame] for frame in ours])]
    # A task that was planned before the upload was interrupted is made as it was planned.
    return Budget(len(ended) + 1, left, frozenset(fit) | (with_people & set(waiting)))


def verdict(engine: Engine, ended: Sequence[Round]) -> Verdict | str:
    """Whether a further round is worth it; in words, why the rule does not say."""
    from data_engine.stages.rounds import judge

    settings = engine.settings.run
    last = ended[-settings.last :]
    if not settings.worth:
        return "[run] worth is 0: no round is held against its price"
    if len(last) < settings.last:
        return f"the rule looks back on {settings.last} rounds, and there are {len(last)}"
    if last[0].model_before is None:
        return f"round {last[0].number} began without a model, so what came of it cannot be compared"
    minutes = sum(one.minutes or 0.0 for one in last)
    of_reviews = reviewed(engine, ended)
    review = sum((of_reviews.get(one.number, Reviewed()) for one in last), Reviewed())
    if not minutes + review.minutes:
        return "the last rounds took no time of people"
    try:
        gain = _gain(engine, last)
    except (MissingInputError, DamagedInputError) as error:
        return f"what the last rounds brought cannot be measured: {error.message}"
    if isinstance(gain, str):
        return gain
    frames = sum(one.frames or 0 for one in last)
    return judge(
        gain,
        settings,
        rounds=[one.number for one in last],
        frames=frames,
        minutes=minutes,
        review_minutes=review.minutes,
        reviews_seen=(review.jobs, sum(one.jobs or 0 for one in last)),
    )


def _gain(engine: Engine, last: Sequence[Round]) -> Gain | str:
    """From the model that began these rounds to the one in use or the newest, whichever gained more."""
    from data_engine.app.models.evaluate import compare, evaluation_set
    from data_engine.stages.rounds import Gain

    with engine.database.read() as connection:
        before = models.by_id(connection, last[0].model_before or "")
        in_use = None if before is None else champions.champion(connection, before.kind)
        after = [models.by_id(connection, one) for one in {last[-1].model_after, in_use and in_use.model_id} if one]
    if before is None:
        return f"the model that began round {last[0].number} is not registered any more"
    on = evaluation_set(engine, None)
    gains: list[Gain] = []
    for model in after:
        if model is None or model.id == before.id:
            continue
        found = compare(engine, before, model, on)
        delta = found.overall
        if None in (delta.champion, delta.challenger, delta.low, delta.high):
            return f"there is no interval of what was gained on {found.on}: its footage is too little, or has no box"
        gains.append(
            Gain(
                found.metric,
                found.on,
                found.images,
                float(delta.champion or 0.0),
                float(delta.challenger or 0.0),
                float(delta.low or 0.0),
                float(delta.high or 0.0),
            )
        )
    if not gains:
        return "no other model came of the last rounds"
    return max(gains, key=lambda gain: gain.high)


def stop(engine: Engine, one: Round, why: Mapping[str, Any] | None) -> Round:
    """Record why no further round begins after this one, or that it does all the same."""
    one = replace(one, stop=why)
    with engine.database.write() as connection:
        lineage.put(connection, one)
    return one
