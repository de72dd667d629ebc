/** How a command ends: with the exit status that its main function gives, or with one line for what its user can mend. */
import { StartError } from "./errors.ts";

export async function runMain(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
