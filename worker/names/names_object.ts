import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";

/** One part of the index of registered names. */
export class Names extends DurableObject<Env> {
  async has(name: string): Promise<boolean> {
    return (await this.ctx.storage.get(name)) === true;
  }

  async add(name: string): Promise<void> {
    await this.ctx.storage.put(name, true);
  }

  async remove(name: string): Promise<void> {
    await this.ctx.storage.delete(name);
  }
}
