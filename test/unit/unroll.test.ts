import { expect, test } from "vitest";
import { unrollLoops } from "../../infra/build/unroll.ts";

test("a marked loop becomes copies of its body, the counter a literal", () => {
  const source = `before();
  // unrolled
  for (let i: usize = 0; i < 3; i++) {
    if (i) { use(x, 4 * i, index); }
  }
after(i);`;
  const plain = unrollLoops(source).replace(/\s+/g, " ");
  expect(plain).toBe(
    "before(); { if (0) { use(x, 4 * 0, index); } } { if (1) { use(x, 4 * 1, index); } } { if (2) { use(x, 4 * 2, index); } } after(i);",
  );
});

test("other loops stay", () => {
  const source = "for (let i: usize = 0; i < 3; i++) { use(i); }";
  expect(unrollLoops(source)).toBe(source);
});

test("a mark on anything else is an error", () => {
  expect(() => unrollLoops("// unrolled\nfor (let i = 0; i < n; i++) { use(i); }")).toThrow(
    "marked as unrolled",
  );
  expect(() => unrollLoops("// unrolled\nfor (let i: i32 = 0; i < 2; i++) { use(i);")).toThrow("not closed");
});
