/** The page in a real browser, against the running service. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pacedAs7B } from "../../infra/bench/paced/regime.ts";
import { startTemporarySystem } from "../../infra/bench/temporary-system.ts";
import type { System } from "../../infra/start/system.ts";
import { findChromium } from "../support/chromium.ts";

const executablePath = findChromium();
/** Where pictures are left for people to look at. */
const PICTURES = process.env.OUTRIDER_PICTURES;

describe.skipIf(!executablePath)("the page", () => {
  let system: System;
  let browser: Browser;
  beforeAll(async () => {
    // The tiny target alone is faster than any hint can be: at its own pace nothing may be drafted ahead.
    system = await startTemporarySystem({ target: "tiny", regime: pacedAs7B() });
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser?.close();
    await system?.stop();
  });

  /** A tab with the key; `complaints` collects what the browser finds wrong, refusals by the security policy too. */
  async function open(options: BrowserContextOptions = {}, key = system.key, path = "/") {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    // Long enough for a machine that does other work beside.
    page.setDefaultTimeout(60_000);
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(`${system.address}${path}#key=${key}`);
    return { page, complaints, asked };
  }
  async function picture(page: Page, name: string): Promise<void> {
    if (!PICTURES) return;
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
  }
  async function runToEnd(page: Page): Promise<void> {
    await page.getByRole("button", { name: "Run" }).click();
    await page
      .getByRole("status")
      .filter({ hasText: /^(Done|With drafts)/ })
      .waitFor({ state: "attached" });
  }
  async function fill(page: Page, prompt: string): Promise<void> {
    await page.getByLabel("Completion").check();
    await page.getByLabel("Prompt").fill(prompt);
    await page.getByRole("spinbutton", { name: "Tokens" }).fill("60");
  }

  it("streams an answer, coloured by source, with figures and a chart", async () => {
    const { page, complaints } = await open();
    await fill(page, "import os\nimport sys\nimport os\nimport sys\nimport os\n");
    await runToEnd(page);
    const answer = page.locator("#drafted .answer");
    expect((await answer.textContent())?.length).toBeGreaterThan(20);
    const sources = await answer.locator("span").evaluateAll((spans) => spans.map((span) => span.className));
    expect(new Set(sources)).toContain("target");
    expect(sources.some((source) => source !== "target")).toBe(true);
    const colourOf = (which: string) =>
      page.evaluate(`getComputedStyle(document.querySelector("#drafted .answer ${which}")).backgroundColor`);
    expect(await colourOf("span:not(.target)")).not.toBe(await colourOf(".target"));
    expect(Number(await page.locator('#drafted [data-figure="tokens"]').textContent())).toBeGreaterThan(5);
    expect(await page.getByRole("img").getAttribute("aria-label")).toMatch(/^Line chart over \d+ tokens/);
    await picture(page, "answer");
    expect(complaints).toEqual([]);
  });

  it("compares with drafts off: the same text", async () => {
    const { page, complaints } = await open({ colorScheme: "dark" });
    await fill(page, "def add(a, b):\n    return a + b\n\ndef add");
    await page.getByLabel("Compare with drafts off").check();
    await page.getByRole("button", { name: "Run" }).click();
    await page.locator("#verdict").waitFor();
    expect(await page.locator("#verdict").textContent()).toContain("the same text");
    const spans = page.locator("#plain .answer span");
    expect(await spans.count()).toBeGreaterThan(5);
    expect(await spans.evaluateAll((all) => all.every((span) => span.className === "target"))).toBe(true);
    await picture(page, "compared-dark");
    expect(complaints).toEqual([]);
  });

  it("can be used with the keyboard alone", async () => {
    const { page } = await open();
    const reached: string[] = [];
    for (let n = 0; n < 12; n++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate<string>("document.activeElement?.id ?? ''"));
    }
    expect(reached).toEqual(expect.arrayContaining(["prompt", "tokens", "temperature", "compare", "run"]));
    await page.getByRole("spinbutton", { name: "Tokens" }).fill("5");
    await page.getByLabel("Prompt").focus();
    await page.keyboard.press("Control+Enter");
    await page.getByRole("status").filter({ hasText: "Done" }).waitFor({ state: "attached" });
  });

  it("names every control for a screen reader", async () => {
    const { page } = await open();
    const isNameless = `(element) =>
      !element.labels?.length && !element.ariaLabel && !element.getAttribute("aria-labelledby") &&
      !element.textContent.trim() && !["status", "alert"].includes(element.role)`;
    const nameless = await page.evaluate(
      `[...document.querySelectorAll("input, textarea, button, section, [role]")].filter(${isNameless}).map((one) => one.outerHTML)`,
    );
    expect(nameless).toEqual([]);
  });

  it("fits a phone, light and dark", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      const viewport = { width: 360, height: 740 };
      const { page, complaints } = await open({ viewport, colorScheme, isMobile: true });
      await fill(page, "import os\n");
      await runToEnd(page);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
      await picture(page, `phone-${colorScheme}`);
      expect(complaints).toEqual([]);
    }
  });

  it("keeps the key out of every address and of the page", async () => {
    const { page, asked } = await open();
    await runToEnd(page);
    expect(page.url()).not.toContain(system.key);
    expect(asked.filter((url) => url.includes(system.key) && !url.includes("#"))).toEqual([]);
    expect(await page.content()).not.toContain(system.key);
    expect(await page.evaluate("Object.values(sessionStorage)")).toEqual([system.key]);
    expect(await page.evaluate("localStorage.length")).toBe(0);
  });

  it("says what is wrong, and asks for a key", async () => {
    const { page } = await open({}, "sk-outrider-wrong");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByRole("alert").filter({ hasText: "Incorrect API key" }).waitFor();
    expect(await page.getByLabel("API key").isVisible()).toBe(true);
    expect(await page.locator("#operations").isVisible()).toBe(false);
  });

  it("shows releases and jobs to a key that may see them", async () => {
    const { page, complaints } = await open();
    await page.getByRole("heading", { name: "Releases and jobs" }).waitFor();
    await picture(page, "operations");
    expect(complaints).toEqual([]);
  });

  it("has a policy that lets nothing else in", async () => {
    const { headers } = await fetch(`${system.address}/`);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
  });

  it("explains the API from its OpenAPI document", async () => {
    const { page, complaints } = await open({}, system.key, "/docs");
    await page.getByRole("heading", { name: "/v1/chat/completions" }).waitFor();
    expect(await page.getByRole("cell", { name: "logit_bias" }).count()).toBe(2);
    await picture(page, "docs");
    expect(complaints).toEqual([]);
  });
});
