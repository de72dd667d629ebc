// Releases and jobs, for keys that may see them.
import { get, Refused } from "./api.js";

/** At most, of either table. */
const COLUMNS = 4;

/** Shows what there is; nothing for a key that may not. */
export async function showOperations(section) {
  try {
    const [releases, jobs] = await Promise.all([get("/v1/releases"), get("/v1/jobs")]);
    fill("releases", releases.data.map(({ release, at }) => [release, when(at)]), "none yet");
    fill("jobs", jobs.data.map(rowOfJob), "none yet");
    section.hidden = false;
  } catch (error) {
    section.hidden = true;
    if (!(error instanceof Refused)) throw error;
  }
}

function rowOfJob({ id, recipe, state, progress, error }) {
  const stage = progress ? `${progress.stage} ${progress.step}/${progress.steps}` : (error ?? "");
  return [id, recipe, state, stage];
}

const when = (iso) => new Date(iso).toLocaleString();

function fill(id, rows, nothing) {
  const filled = rows.length > 0 ? rows : [[nothing]];
  document.getElementById(id).replaceChildren(
    ...filled.map((cells) => {
      const row = document.createElement("tr");
      for (const cell of cells) row.insertCell().textContent = cell;
      if (rows.length === 0) row.cells[0].colSpan = COLUMNS;
      return row;
    }),
  );
}
