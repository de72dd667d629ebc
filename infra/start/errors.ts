/** A start that cannot go on for a reason that its reader can mend: the message is all there is to show. */
export class StartError extends Error {
  override name = "StartError";
}
