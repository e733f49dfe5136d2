import { DurableObject } from "cloudflare:workers";
import { ServiceError } from "../../shared/errors.ts";
import {
  CONNECT_BUCKETS_MAX,
  CONNECTS_PER_ADDRESS_BURST,
  CONNECTS_PER_ADDRESS_REFILL_MS,
  CONNECTS_PER_KEY_BURST,
  CONNECTS_PER_KEY_REFILL_MS,
  EDGES_MAX,
  REGISTRATION_BUCKETS_MAX,
  REGISTRATIONS_PER_ADDRESS_BURST,
  REGISTRATIONS_PER_ADDRESS_REFILL_MS,
  REGISTRATIONS_PER_KEY_BURST,
  REGISTRATIONS_PER_KEY_REFILL_MS,
} from "../../shared/limits.ts";
import type { Env } from "../env.ts";
import { type Outcome, outcome } from "../outcome.ts";
import type { EdgeReport } from "../../shared/edge_info.ts";
import { EdgeRegistry, type KnownEdge } from "./edge_registry.ts";
import { addressGroup, TokenBuckets } from "../../shared/token_buckets.ts";

const PREFIX = "edge:";

/**
 * The one Durable Object that knows the edges. Every registration of a share comes by here for the list of edges anyhow,
 * so registrations are counted here too, and so are questions of devices that connect; the counts live in memory only.
 */
export class Edges extends DurableObject<Env> {
  #registry = new EdgeRegistry([]);
  readonly #byAddress = new TokenBuckets({
    burst: REGISTRATIONS_PER_ADDRESS_BURST,
    refillMs: REGISTRATIONS_PER_ADDRESS_REFILL_MS,
    max: REGISTRATION_BUCKETS_MAX,
  });
  readonly #byKey = new TokenBuckets({
    burst: REGISTRATIONS_PER_KEY_BURST,
    refillMs: REGISTRATIONS_PER_KEY_REFILL_MS,
    max: REGISTRATION_BUCKETS_MAX,
  });
  /** Rations of their own: those who connect must not use up what an owner behind the same address needs. */
  readonly #connectsByAddress = new TokenBuckets({
    burst: CONNECTS_PER_ADDRESS_BURST,
    refillMs: CONNECTS_PER_ADDRESS_REFILL_MS,
    max: CONNECT_BUCKETS_MAX,
  });
  readonly #connectsByKey = new TokenBuckets({
    burst: CONNECTS_PER_KEY_BURST,
    refillMs: CONNECTS_PER_KEY_REFILL_MS,
    max: CONNECT_BUCKETS_MAX,
  });

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      const stored = await ctx.storage.list<KnownEdge>({ prefix: PREFIX, limit: EDGES_MAX });
      this.#registry = new EdgeRegistry(stored.values());
    });
  }

  /** Takes an edge's report. */
  async report(id: string, report: EdgeReport): Promise<Outcome<void>> {
    const taken = outcome(() => this.#registry.report(id, report, Date.now()));
    if (!taken.ok) return taken;
    const { edge, forgotten } = taken.value;
    const { storage } = this.ctx;
    await Promise.all([
      storage.put(PREFIX + id, edge),
      forgotten.length === 0 ? undefined : storage.delete(forgotten.map((gone) => PREFIX + gone)),
    ]);
    return { ok: true, value: undefined };
  }

  /** An edge says goodbye. */
  async remove(id: string, instance: string): Promise<void> {
    if (this.#registry.remove(id, instance)) await this.ctx.storage.delete(PREFIX + id);
  }

  /** The edges that are there. */
  live(): KnownEdge[] {
    return this.#registry.live(Date.now());
  }

  /**
   * Counts a registration from `address`, if known, and returns the edges that are there. The ration of `key` (a
   * fingerprint) must not be used up, but is not touched: that is for {@link registered}.
   */
  admit(key: string, address: string | undefined): Outcome<KnownEdge[]> {
    return outcome(() => {
      const now = Date.now();
      const wait = (address === undefined ? 0 : this.#byAddress.take(addressGroup(address), now)) ||
        this.#byKey.wait(key, now);
      if (wait > 0) {
        throw new ServiceError("rate-limited", "Too many shares were registered from here in a short time.", {
          hint: `Try again in ${Math.ceil(wait / 1000)} s.`,
        });
      }
      return this.#registry.live(now);
    });
  }

  /**
   * Counts a question of `key` (a fingerprint), at `address` if known, where a share is. Its ticket may be a replay, so that
   * somebody who overheard it can use up the key's ration: for seconds, and he could cut the device off as well.
   */
  admitConnect(key: string, address: string | undefined): Outcome<void> {
    return outcome(() => {
      const now = Date.now();
      const wait = (address === undefined ? 0 : this.#connectsByAddress.take(addressGroup(address), now)) ||
        this.#connectsByKey.take(key, now);
      if (wait === 0) return;
      throw new ServiceError("rate-limited", "Too many attempts to connect came from here in a short time.", {
        hint: `Try again in ${Math.ceil(wait / 1000)} s.`,
      });
    });
  }

  /** Counts a registration by `key` that its share has accepted: others' replays of a ticket are not the key's doing. */
  registered(key: string): void {
    this.#byKey.spend(key, Date.now());
  }
}
