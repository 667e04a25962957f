"""When a panel is drawn again: by who looks, what is sent, what drawing takes; a line twice a second."""

from __future__ import annotations

from jupyter_train.panel.display import is_console
from jupyter_train.panel.redraw_schedule import ByteBudget, PanelPart, RedrawSchedule, Viewing

NOBODY, RENDERER = Viewing(), Viewing(has_renderer=True)
WATCHED = Viewing(is_watched=True, has_renderer=True)


def drawn(looking: Viewing, seconds: float, size: int = 12_000, spent_s: float = 0.004, is_line: bool = False):
    """(when, what) of everything drawn in so many seconds, looked at as often as a panel looks."""
    pace, found = RedrawSchedule(is_line, ByteBudget(0.0), 0.0), []
    for tick in range(1, int(seconds * 4) + 1):
        now = tick / 4
        part = pace.due(now, looking)
        if part is not PanelPart.NOTHING:
            pace.drawn(now, size, spent_s)
            found.append((now, part))
    return found


def test_a_line_moves_twice_a_second_whatever_it_takes() -> None:
    assert drawn(NOBODY, 60, spent_s=0.1, is_line=True) == [(tick / 2, PanelPart.LINE) for tick in range(1, 121)]


def test_without_a_renderer_the_picture_moves_every_second_and_20_mb_an_hour_are_kept() -> None:
    found = drawn(NOBODY, 3600)
    minute = [part for now, part in found if now <= 60]
    assert len(minute) >= 58
    assert minute[:3] == [PanelPart.WHOLE] * 3
    assert set(minute[3:]) == {PanelPart.SMALL}
    assert 19e6 < 12_000 * len(found) <= 20e6
    later = [now for now, _ in found if now > 3000]
    assert max(after - before for before, after in zip(later, later[1:], strict=False)) <= 3.0


def test_the_budget_is_that_of_all_panels() -> None:
    budget, sent = ByteBudget(0.0), 0
    for began in range(0, 3600, 4):
        pace = RedrawSchedule(False, budget, began)
        for tick in range(1, 16):
            now = began + tick / 4
            if pace.due(now, NOBODY) is not PanelPart.NOTHING:
                pace.drawn(now, 60_000, 0.001)
                sent += 60_000
    assert sent < 80e6  # the first picture of a run is always drawn: 54 MB of these are


def test_a_renderer_that_looks_gets_four_a_second_and_one_that_does_not_two_a_minute() -> None:
    assert len(drawn(WATCHED, 60, spent_s=0.001)) == 240
    assert {part for _, part in drawn(WATCHED, 60)} == {PanelPart.CURVES}
    later = [now for now, _ in drawn(RENDERER, 123) if now > 3.0]
    assert len(later) == 4
    assert max(now for now, _ in drawn(RENDERER, 20)) < 3.0


def test_drawing_takes_less_than_a_hundredth_of_a_processor() -> None:
    for looking in (NOBODY, WATCHED):
        found = drawn(looking, 600, spent_s=0.02)
        assert 0.02 * len(found) < 0.01 * 600
        assert len(found) > 200
    nudged = Viewing(is_watched=True, is_nudged=True, has_renderer=True)
    assert len(drawn(nudged, 60, spent_s=0.02)) == 240


def test_a_console_is_distinguished_from_those_that_replace_outputs() -> None:
    python = {"msg_id": "3f1c2b7a-9d8e7f6a5b4c3d2e1f0a9b8c_4711_3"}
    script = {"msg_id": "0e4f2d6c-7c0b-4d4c-9a55-2f1b7a9c1d2e"}
    asks, silent = {"allow_stdin": True}, {"allow_stdin": False}
    assert is_console({"header": python, "content": asks, "metadata": {}})
    assert not is_console({"header": python, "content": silent, "metadata": {}})  # nbclient, papermill
    assert not is_console({"header": script, "content": asks, "metadata": {}})  # nbclassic
    assert not is_console({"header": python, "content": asks, "metadata": {"cellId": "4a"}})
    assert not is_console({})
