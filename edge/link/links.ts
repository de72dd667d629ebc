/** The links that a completion may run over, in the order in which they are tried. */
import type { LinkKey } from "../../gpu-service/protocol/token.ts";
import { Broker } from "./broker.ts";
import type { VerifierLink } from "./link.ts";
import { ownLink } from "./own-link.ts";
import { inTurn } from "./replicas.ts";
import { Shards } from "./shards.ts";
import { type LinkObjects, sharedLink } from "./shared-link.ts";

type LinkSettings = {
  verifierUrls: readonly string[];
  linkKey: LinkKey;
  link: "auto" | "own" | "shared";
};

/** What an isolate knows of its replicas and the ways to them. */
export class Links {
  readonly #settings: LinkSettings;
  readonly #random: () => number;
  readonly #broker: Broker;
  readonly #shards = new Map<string, Shards>();

  /** `random`: 0 ≤ x < 1. */
  constructor(settings: LinkSettings, random: () => number) {
    this.#settings = settings;
    this.#random = random;
    this.#broker = new Broker(random);
  }

  /**
   * Replicas in turn, the first of them over the shared link where that is the better way. Whatever becomes of that
   * link, what follows goes over links of the request's own, to the same replica first: it may go on where it was.
   */
  for(prompt: readonly number[], from: { objects: LinkObjects; place: string }): VerifierLink[] {
    const { verifierUrls, linkKey, link } = this.#settings;
    const urls = inTurn(verifierUrls, prompt);
    const own = urls.map((url) => this.#broker.watch(ownLink(url, linkKey), "own"));
    const first = urls[0]!;
    const way = link === "auto" ? this.#broker.choose(first) : link;
    if (way === "own") return own;
    const shared = sharedLink(first, { ...from, key: linkKey, shards: this.#shardsOf(first) });
    return [this.#broker.watch(shared, "shared"), ...own];
  }

  #shardsOf(url: string): Shards {
    let shards = this.#shards.get(url);
    if (!shards) {
      shards = new Shards(this.#random);
      this.#shards.set(url, shards);
    }
    return shards;
  }
}
