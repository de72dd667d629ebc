/** A release that cannot be published as asked; the text names the file or the record at fault. */
export class PublishError extends Error {
  override name = "PublishError";
}

/** Bucket or worker do not answer: it says nothing about what was asked, and is worth asking again later. */
export class UnreachableError extends PublishError {
  override name = "UnreachableError";
}
