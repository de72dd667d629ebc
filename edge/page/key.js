// The API key: it comes in the fragment of the address, which no server sees, and stays in this tab's storage.

const NAME = "outrider-key";

export const readKey = () => sessionStorage.getItem(NAME) ?? "";
export const keepKey = (key) => sessionStorage.setItem(NAME, key.trim());

/** Takes the key out of the address at once. */
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return;
  keepKey(key);
  history.replaceState(null, "", location.pathname);
}
