"""Which word a run that ended with no finite loss has for it."""

from __future__ import annotations

import math

from jupyter_train.store.non_finite import NonFinite


def seen(*values: float) -> NonFinite:
    found = NonFinite(lambda *_: None)
    for step, value in enumerate(values):
        if math.isfinite(value):
            found.back("train_loss")
        else:
            found.see("train_loss", value, step, step == 0)
    return found


def test_a_loss_that_overflows_and_then_is_nan_ends_with_nan() -> None:
    found = seen(1.0, 2.0, math.inf, math.nan, math.nan)
    assert found.ended_with == "NaN"
    assert found.message.startswith("`train_loss` is NaN from step 3 to the end: ")


def test_a_loss_that_stays_infinite_is_infinite() -> None:
    assert seen(math.inf, math.inf).message.startswith("`train_loss` is infinite from its first value to the end: ")


def test_different_ends_are_distinguished_and_none_is_left_out_silently() -> None:
    found = seen(math.nan)
    for number in range(4):
        found.see(f"loss{number}", math.nan, 1, False)
    found.see("val_loss", math.inf, 1, False)
    assert found.message.startswith(
        "`train_loss` is NaN from its first value to the end, as are `loss0`, `loss1`, `loss2` and 1 more, "
        "and `val_loss` is infinite: "
    )
