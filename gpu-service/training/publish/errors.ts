/** A release that cannot be published as asked; the text names the file or the record at fault. */
export class PublishError extends Error {
  override name = "PublishError";
}
