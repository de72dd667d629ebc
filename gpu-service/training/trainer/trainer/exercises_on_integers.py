"""Exercises on one number."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from trainer.exercise_task import Task


def collatz(n: int) -> Iterator[int]:
    while True:
        yield n
        n = n // 2 if n % 2 == 0 else 3 * n + 1


def digits(n: int) -> list[int]:
    return [int(d) for d in str(n)]


def divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def prime(n: int) -> bool:
    return n > 1 and divisors(n) == [1, n]


TASKS = (
    Task(
        ("digit_sum", "add_digits"),
        "number",
        "int",
        ("Add up the decimal digits.", "Return the sum of the digits of the number."),
        lambda n: sum(digits(n)),
    ),
    Task(
        ("reverse_number", "flip_digits"),
        "number",
        "int",
        ("Write the digits in reverse.",),
        lambda n: int(str(n)[::-1]),
    ),
    Task(
        ("all_divisors", "divisors_of"),
        "number",
        "List[int]",
        ("List all divisors in ascending order.", "Return every number that divides it without rest."),
        divisors,
    ),
    Task(("check_prime", "prime_or_not"), "number", "bool", ("Tell whether the number is prime.",), prime),
    Task(
        ("primes_up_to", "list_primes"),
        "number",
        "List[int]",
        ("List the primes that are not larger.", "Return all prime numbers up to the limit."),
        lambda n: [p for p in range(2, n + 1) if prime(p)],
    ),
    Task(
        ("fib", "fibonacci_number"),
        "number",
        "int",
        ("Return the Fibonacci number at that place, counting from 0.",),
        lambda n: functools.reduce(lambda p, _: (p[1], p[0] + p[1]), range(n), (0, 1))[0],
    ),
    Task(
        ("to_binary", "binary_digits"),
        "number",
        "str",
        ("Write the number in binary.", "Return the binary form as a string."),
        lambda n: bin(n)[2:],
    ),
    Task(
        ("collatz_steps", "steps_to_one"),
        "number",
        "int",
        ("How often can one halve (even) or triple and add one (odd) until 1 is reached?",),
        lambda n: next(k for k, m in enumerate(collatz(n)) if m == 1),
    ),
    Task(
        ("multiples_of_three", "threes"),
        "number",
        "List[int]",
        ("List the multiples of three below the limit.",),
        lambda n: list(range(3, n, 3)),
    ),
    Task(
        ("triangle", "sum_to"),
        "number",
        "int",
        ("Add up all whole numbers from 1 on.", "Return 1 + 2 + ... up to the number."),
        lambda n: n * (n + 1) // 2,
    ),
    Task(
        ("is_square", "perfect_root"),
        "number",
        "bool",
        ("Tell whether the number is the square of a whole number.",),
        lambda n: int(n**0.5 + 0.5) ** 2 == n,
    ),
)
