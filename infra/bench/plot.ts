/** Line charts as SVG, for the documentation. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../start/paths.ts";

/** `points`: x and y. */
export type Line = { name: string; points: readonly (readonly [number, number])[] };
export type Chart = { title: string; x: string; y: string; lines: readonly Line[] };

const WIDTH = 360;
const HEIGHT = 270;
const MARGIN = { left: 52, right: 14, top: 30, bottom: 66 };
const COLOURS = ["#1660a8", "#8a8a8a", "#c05a10", "#2f8f4e"];
const TICKS = 4;

/** Writes the charts side by side, two in a row, to docs/`name`. */
export function writeCharts(name: string, charts: readonly Chart[]): void {
  const columns = Math.min(2, charts.length);
  const rows = Math.ceil(charts.length / columns);
  const drawn = charts.map(
    (chart, i) =>
      `<g transform="translate(${(i % columns) * WIDTH} ${Math.floor(i / columns) * HEIGHT})">${draw(chart)}</g>`,
  );
  const size = `width="${columns * WIDTH}" height="${rows * HEIGHT}"`;
  const paper = '<rect width="100%" height="100%" fill="white"/>';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="11">`;
  mkdirSync(join(ROOT, "docs", "plots"), { recursive: true });
  writeFileSync(join(ROOT, "docs", "plots", name), `${svg}\n${paper}\n${drawn.join("\n")}\n</svg>\n`);
}

function draw({ title, x, y, lines }: Chart): string {
  const points = lines.flatMap((line) => line.points);
  const mostX = Math.max(...points.map(([at]) => at));
  const mostY = roundUp(Math.max(...points.map(([, value]) => value)));
  const bottom = HEIGHT - MARGIN.bottom;
  const toX = (at: number) => fixed(MARGIN.left + (at / mostX) * (WIDTH - MARGIN.left - MARGIN.right));
  const toY = (value: number) => fixed(bottom - (value / mostY) * (bottom - MARGIN.top));
  const grid = Array.from({ length: TICKS + 1 }, (_, i) => (mostY * i) / TICKS).map(
    (value) =>
      `<line x1="${toX(0)}" x2="${toX(mostX)}" y1="${toY(value)}" y2="${toY(value)}" stroke="#ddd"/>` +
      text(MARGIN.left - 6, toY(value) + 4, String(fixed(value)), "end"),
  );
  const places = [...new Set(points.map(([at]) => at))].map((at) =>
    text(toX(at), bottom + 15, String(at), "middle"),
  );
  const drawn = lines.map(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = points.map(([at, value]) => `${toX(at)},${toY(value)}`).join(" ");
    const keyX = MARGIN.left + (i % 2) * 150;
    const keyY = bottom + 46 + Math.floor(i / 2) * 14;
    return (
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>` +
      `<line x1="${keyX}" x2="${keyX + 16}" y1="${keyY - 4}" y2="${keyY - 4}" stroke="${colour}" stroke-width="2"/>` +
      text(keyX + 22, keyY, name, "start")
    );
  });
  const labels = [
    text(MARGIN.left, 16, `${title}: ${y}`, "start"),
    text((toX(0) + toX(mostX)) / 2, bottom + 30, x, "middle"),
  ];
  return [...grid, ...places, ...drawn, ...labels].join("\n");
}

const text = (x: number, y: number, words: string, anchor: string): string =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${words.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</text>`;
const fixed = (value: number): number => Number(value.toFixed(2));

/** To a number with one digit, or one and a half. */
function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return Math.ceil((value / unit) * 2) * (unit / 2);
}
