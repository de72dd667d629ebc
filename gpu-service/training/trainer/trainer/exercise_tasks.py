"""The table of invented exercises. Their order is part of what a seed stands for."""

from __future__ import annotations

from trainer import exercises_on_integers, exercises_on_lists, exercises_on_text

TASKS = (*exercises_on_lists.TASKS, *exercises_on_text.TASKS, *exercises_on_integers.TASKS)
