"""The owner's end of the command table: each command comes once, each answer arrives, late ones are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_train.config.commands import Command, command
from jupyter_train.exceptions import RunStateError
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, commands
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.command_queue import LOCAL
from jupyter_train.store.commands import APPLIED, REFUSED, WAITING, Answer
from jupyter_train.store.run_lock import RunLock


@pytest.fixture
def run(store) -> Iterator[Any]:
    """A run that this process owns."""
    record = store.create_run("digits")
    lock = RunLock(RunFolder(record.folder).lock)
    lock.acquire()
    yield record
    LOCAL.close(record.key)
    lock.release()


@pytest.fixture
def channel(store, run) -> CommandChannel:
    store.set_status(run.key, RunStatus.RUNNING)
    return CommandChannel(store, run.key, RunFolder(run.folder))


def verbs(channel: CommandChannel) -> list[str]:
    return [taken.verb for taken in channel.inbox.take()]


def test_a_command_comes_once_and_its_answer_is_written(store, run, channel) -> None:
    row = commands.add(store, run.key, command("set-lr", {"lr": 0.5}))
    channel.exchange()
    channel.exchange()
    [taken] = channel.inbox.take()
    assert (taken.verb, taken.arguments, taken.row) == ("set_lr", {"lr": 0.5}, row)
    assert commands.answer_of(store, row).state == WAITING
    channel.answered(taken, Answer(APPLIED, "done", 7))
    channel.exchange()
    assert commands.answer_of(store, row) == Answer(APPLIED, "done", 7)


def test_a_command_is_seen_as_soon_as_its_sender_has_raised_the_flag(store, run, channel) -> None:
    channel.exchange()
    assert verbs(channel) == []
    commands.add(store, run.key, command("pause"))
    channel.exchange()
    assert verbs(channel) == ["pause"]


def test_a_command_of_this_process_gets_its_row_with_the_answer(store, run, channel) -> None:
    here = LOCAL.of(run.key)
    assert here is channel.inbox
    channel.answered(Command("pause"), Answer(APPLIED, "paused", 3))
    channel.exchange()
    assert commands.answer_of(store, 1) == Answer(APPLIED, "paused", 3)


def test_what_the_store_does_not_take_is_sent_again(store, run) -> None:
    channel = CommandChannel(store, run.key, RunFolder(run.folder))
    channel.set_status(RunStatus.PAUSED)
    channel.answered(Command("pause"), Answer(APPLIED, "paused", 3))
    with pytest.raises(RunStateError):
        channel.exchange()  # a queued run cannot be paused
    store.set_status(run.key, RunStatus.RUNNING)
    channel.exchange()
    assert store.get(run.key).status is RunStatus.PAUSED
    assert commands.answer_of(store, 1).text == "paused"


def test_commands_that_come_too_late_are_refused(store, run, channel) -> None:
    rows = [commands.add(store, run.key, command("pause"))]
    channel.exchange()
    rows.append(commands.add(store, run.key, command("validate")))
    channel.close()
    channel.exchange()
    late = Answer(REFUSED, "the fit had just ended", None)
    assert [commands.answer_of(store, row) for row in rows] == [late, late]
    assert LOCAL.of(run.key) is None
