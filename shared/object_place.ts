/** Where the object of a share lives, as the service tells it: what holds its record, and its sessions without an edge. */

/** Where the law wants data to stay. Cloudflare knows more; these are the ones that may be asked for. */
export const JURISDICTIONS = ["eu"] as const;
export type Jurisdiction = typeof JURISDICTIONS[number];

/** True for what may be asked for. */
export function isJurisdiction(value: unknown): value is Jurisdiction {
  return JURISDICTIONS.some((known) => known === value);
}

/** What a service has said of it, without what makes no sense; undefined when nothing is left. */
export function readObjectPlace(value: unknown): ObjectPlace | undefined {
  const { jurisdiction, near, hint } = (typeof value === "object" && value !== null ? value : {}) as Record<
    keyof ObjectPlace,
    unknown
  >;
  const place: ObjectPlace = {
    ...(isJurisdiction(jurisdiction) ? { jurisdiction } : {}),
    ...(typeof near === "string" && /^[A-Z]{3}$/.test(near) ? { near } : {}),
    ...(typeof hint === "string" && /^[a-z]{2,4}$/.test(hint) ? { hint } : {}),
  };
  return Object.keys(place).length === 0 ? undefined : place;
}

/** What of it is known; on a machine of one's own, nothing. */
export interface ObjectPlace {
  /** It stays there. Absent: it may be anywhere. */
  readonly jurisdiction?: Jurisdiction;
  /** The data centre of Cloudflare near which it was made, such as `FRA`. */
  readonly near?: string;
  /** The region in which Cloudflare was asked to make it, such as `weur`. */
  readonly hint?: string;
}
