"""Exercises on texts and lists of words."""

from __future__ import annotations

import itertools

from trainer.exercise_task import Task

TASKS = (
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
)
