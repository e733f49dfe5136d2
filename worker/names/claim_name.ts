import { type Outcome, outcome } from "../outcome.ts";
import { livesElsewhere } from "../placement/jurisdiction.ts";
import type { NameHome } from "./name_records.ts";

/** What is used of the index of names. */
export interface Reservations {
  reserve(name: string, home: NameHome): Promise<NameHome>;
  remove(name: string): Promise<void>;
}

/** A name as the share's object has it. */
export interface NameClaim<T> {
  readonly name: string;
  /** Where this object is. */
  readonly home: NameHome;
  /** Claims it for somebody, at once. */
  claim(): Outcome<T>;
  /** True while it is somebody's. */
  held(): boolean;
}

/**
 * Claims a name for somebody at the object of its share: it enters the index first, since the object of the same name in
 * another jurisdiction may be asked at the same time, and only the index knows both. A claim that fails leaves no name
 * there. One after the other in each object.
 */
export async function claimName<T>(
  index: Reservations,
  { name, home, claim, held }: NameClaim<T>,
): Promise<Outcome<T>> {
  const { jurisdiction } = await index.reserve(name, home);
  if (jurisdiction !== home.jurisdiction) {
    return outcome(() => {
      throw livesElsewhere(name);
    });
  }
  try {
    return claim();
  } finally {
    if (!held()) await index.remove(name);
  }
}
