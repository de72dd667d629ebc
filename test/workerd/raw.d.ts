/** Vite gives a file's text where its import says so. */
declare module "*?raw" {
  const text: string;
  export default text;
}
