/** Vite gives a file's text where its import says so. */
declare module "*?raw" {
  const text: string;
  export default text;
}

/** The worker once more, with an isolate's state of its own. */
declare module "*/worker.ts?second" {
  const worker: typeof import("../../edge/worker.ts").default;
  export default worker;
}
