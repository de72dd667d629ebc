"""Exercises on lists of numbers."""

from __future__ import annotations

import math
from itertools import pairwise

from trainer.exercise_task import Task

TASKS = (
    Task(
        ("sum_of_evens", "even_sum"),
        "numbers",
        "int",
        ("Add up the even numbers of the list.", "Return the sum of all even values."),
        lambda v: sum(x for x in v if x % 2 == 0),
    ),
    Task(
        ("count_odd", "odd_count"),
        "numbers",
        "int",
        ("Count how many numbers are odd.", "Return how many odd values the list has."),
        lambda v: sum(x % 2 for x in v),
    ),
    Task(
        ("squares", "square_all"),
        "numbers",
        "List[int]",
        ("Return the square of each number.", "Square every element and keep the order."),
        lambda v: [x * x for x in v],
    ),
    Task(
        ("product", "multiply_all"),
        "numbers",
        "int",
        ("Multiply all numbers with each other.", "Return the product of the values."),
        lambda v: math.prod(v),
    ),
    Task(
        ("second_largest", "runner_up"),
        "numbers",
        "int",
        ("Return the second largest distinct number.", "Find the largest value below the maximum."),
        lambda v: sorted(set(v))[-2],
    ),
    Task(
        ("unique_in_order", "without_repeats"),
        "numbers",
        "List[int]",
        ("Drop repeated numbers and keep the first of each.", "Return the distinct values in their first order."),
        lambda v: list(dict.fromkeys(v)),
    ),
    Task(
        ("running_sum", "prefix_sums"),
        "numbers",
        "List[int]",
        ("For each place give the sum of everything up to it.", "Return the list of running totals."),
        lambda v: [sum(v[: i + 1]) for i in range(len(v))],
    ),
    Task(
        ("differences", "gaps"),
        "numbers",
        "List[int]",
        ("Return each number minus the one before it.", "Give the differences of neighbours."),
        lambda v: [b - a for a, b in pairwise(v)],
    ),
    Task(
        ("is_sorted", "ascending"),
        "numbers",
        "bool",
        ("Tell whether the list never goes down.", "Check that the values are in ascending order."),
        lambda v: v == sorted(v),
    ),
    Task(
        ("spread", "value_range"),
        "numbers",
        "int",
        ("Return the largest minus the smallest value.", "How far apart are maximum and minimum?"),
        lambda v: max(v) - min(v),
    ),
    Task(
        ("above_mean", "over_average"),
        "numbers",
        "List[int]",
        ("Return the numbers greater than the average.", "Keep only values above the mean of the list."),
        lambda v: [x for x in v if x > sum(v) / len(v)],
    ),
    Task(
        ("rotate_left", "shift_once"),
        "numbers",
        "List[int]",
        ("Move the first element to the end.", "Rotate the list by one place to the left."),
        lambda v: v[1:] + v[:1],
    ),
    Task(
        ("descending", "sort_down"),
        "numbers",
        "List[int]",
        ("Sort from large to small.", "Return the values in descending order."),
        lambda v: sorted(v, reverse=True),
    ),
    Task(
        ("positions_of_max", "where_max"),
        "numbers",
        "List[int]",
        ("Return every index that holds the largest value.", "At which positions is the maximum?"),
        lambda v: [i for i, x in enumerate(v) if x == max(v)],
    ),
    Task(
        ("split_parity", "evens_then_odds"),
        "numbers",
        "List[int]",
        ("Put even numbers first, then odd ones, each in their order.",),
        lambda v: [x for x in v if x % 2 == 0] + [x for x in v if x % 2],
    ),
)
