"""The table of invented exercises: names, wordings, and the answer that their examples show."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Task:
    names: tuple[str, ...]
    argument: str
    """Kind of the argument: numbers, text, words or number."""
    returns: str
    wordings: tuple[str, ...]
    answer: Callable[[Any], Any]


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
    Task(
        ("count_vowel_letters", "vowel_total"),
        "text",
        "int",
        ("Return how many vowels the text has.", "Count the letters a, e, i, o and u."),
        lambda s: sum(c in "aeiou" for c in s),
    ),
    Task(
        ("backwards", "mirror"),
        "text",
        "str",
        ("Return the text in reverse.", "Turn the string around."),
        lambda s: s[::-1],
    ),
    Task(
        ("reads_both_ways", "same_reversed"),
        "text",
        "bool",
        ("Tell whether the text reads the same from both ends.",),
        lambda s: s == s[::-1],
    ),
    Task(
        ("letter_counts", "histogram_of"),
        "text",
        "Dict[str, int]",
        ("Map each character to how often it occurs.", "Count every letter of the text."),
        lambda s: {c: s.count(c) for c in s},
    ),
    Task(
        ("no_vowels", "strip_vowels"),
        "text",
        "str",
        ("Remove every vowel.", "Return the text with its vowels left out."),
        lambda s: "".join(c for c in s if c not in "aeiou"),
    ),
    Task(
        ("capital_words", "title_words"),
        "text",
        "str",
        ("Make the first letter of each word a capital.",),
        lambda s: s.title(),
    ),
    Task(
        ("longest_word", "widest_word"),
        "text",
        "str",
        ("Return the longest word; the first one if several are.", "Find the word with most letters."),
        lambda s: max(s.split(), key=len),
    ),
    Task(
        ("word_lengths", "lengths_of_words"),
        "text",
        "List[int]",
        ("Give the length of each word.", "Return how many letters each word has."),
        lambda s: [len(w) for w in s.split()],
    ),
    Task(
        ("snake_case", "join_by_underscore"),
        "text",
        "str",
        ("Replace spaces by underscores.",),
        lambda s: s.replace(" ", "_"),
    ),
    Task(
        ("first_letters", "acronym"),
        "text",
        "str",
        ("Join the first letters of all words as capitals.", "Return the initials of the words."),
        lambda s: "".join(w[0].upper() for w in s.split()),
    ),
    Task(
        ("compress", "run_lengths"),
        "text",
        "str",
        ("Write each run of one character as the character and its length.",),
        lambda s: "".join(c + str(len(list(g))) for c, g in itertools.groupby(s)),
    ),
    Task(
        ("swap_ends", "exchange_first_last"),
        "text",
        "str",
        ("Exchange the first and the last character.",),
        lambda s: s[-1] + s[1:-1] + s[0],
    ),
    Task(
        ("distinct_letters", "unique_characters"),
        "text",
        "int",
        ("How many different characters does the text have?",),
        lambda s: len(set(s)),
    ),
    Task(
        ("join_sorted", "alphabetical"),
        "words",
        "List[str]",
        ("Sort the words by the alphabet.", "Return the strings in alphabetical order."),
        sorted,
    ),
    Task(
        ("by_length", "sort_by_size"),
        "words",
        "List[str]",
        ("Sort the words by length, then by the alphabet.",),
        lambda w: sorted(w, key=lambda x: (len(x), x)),
    ),
    Task(
        ("total_letters", "letters_in_all"),
        "words",
        "int",
        ("Add up the lengths of all strings.",),
        lambda w: sum(len(x) for x in w),
    ),
    Task(
        ("starting_with_vowel", "vowel_first"),
        "words",
        "List[str]",
        ("Keep the words that begin with a vowel.",),
        lambda w: [x for x in w if x[0] in "aeiou"],
    ),
    Task(
        ("shortest", "least_letters"),
        "words",
        "str",
        ("Return the shortest string of the list.", "Find the word with fewest letters."),
        lambda w: min(w, key=len),
    ),
    Task(
        ("group_by_initial", "index_by_letter"),
        "words",
        "Dict[str, List[str]]",
        ("Group the words by their first letter.",),
        lambda w: {x[0]: [y for y in w if y[0] == x[0]] for x in w},
    ),
    Task(
        ("capitalised", "upper_all"),
        "words",
        "List[str]",
        ("Return the words in capitals.",),
        lambda w: [x.upper() for x in w],
    ),
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
