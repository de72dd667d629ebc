/** A domain that the tiny pair's draft was not taught: heads of classes, of which its corpus of functions holds few. */

const NOUNS = [
  ...["River", "Stone", "Winter", "Garden", "Letter", "Market", "Bridge", "Mountain", "Paper", "Window"],
  ...["Silver", "Morning", "Music", "Story", "Island", "Harbor", "Forest", "Candle", "Engine", "Doctor"],
  ...["Teacher", "Soldier", "Painter", "Sailor", "Farmer", "Baker", "Tower", "Castle", "Valley", "Ocean"],
];

/** `count` different prompts, the same for every run; `from`: how many of the sequence come before them. */
export function prompts(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index;
    const noun = (step: number) => NOUNS[Math.floor(n / NOUNS.length ** step) % NOUNS.length]!;
    // Neighbours differ in their first word, and no two of 27,000 are the same.
    return `class ${noun(0)}${noun(1)}(${NOUNS[(n * 7 + 3) % NOUNS.length]}${noun(2)}):\n    """`;
  });
}
