// A line over tokens, as SVG.

const SVG = "http://www.w3.org/2000/svg";
/** Margins hold the letters of a phone, which are larger than the chart. */
const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [600, 160, 72, 16, 26];
const LEAST_TOKENS = 32;

/** `shares`: after each token, from 0 to 1. */
export function drawShares(svg, shares) {
  const across = Math.max(LEAST_TOKENS, shares.length);
  const x = (token) => LEFT + ((WIDTH - LEFT - 4) * token) / across;
  const y = (share) => TOP + (HEIGHT - BOTTOM - TOP) * (1 - share);
  const rules = [0, 0.5, 1].flatMap((share) => [
    element("line", { x1: LEFT, x2: WIDTH, y1: y(share), y2: y(share), class: "rule" }),
    element("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share} %`),
  ]);
  const ends = [0, across].map((token, i) =>
    element("text", { x: x(token), y: HEIGHT - 4, "text-anchor": i ? "end" : "start" }, `${token}`),
  );
  const points = shares.map((share, i) => `${x(i + 1).toFixed(1)},${y(share).toFixed(1)}`).join(" ");
  svg.replaceChildren(...rules, ...ends, element("polyline", { points, class: "line" }));
  svg.setAttribute("aria-label", describe(shares));
}

function describe(shares) {
  if (shares.length === 0) return "No tokens yet";
  const percent = (share) => `${Math.round(100 * share)} %`;
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  return `Line chart over ${shares.length} tokens: ${percent(mean)} on average, ${percent(shares.at(-1))} at the end`;
}

function element(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}
