import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import { type NameHome, NameRecords } from "./name_records.ts";

/** One part of the index of registered names. */
export class Names extends DurableObject<Env> {
  readonly #records: NameRecords;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#records = new NameRecords(ctx.storage.kv);
  }

  find(name: string): NameHome | undefined {
    return this.#records.find(name);
  }

  reserve(name: string, home: NameHome): NameHome {
    return this.#records.reserve(name, home);
  }

  remove(name: string): void {
    this.#records.remove(name);
  }
}
