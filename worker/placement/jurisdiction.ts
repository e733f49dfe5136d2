import { ServiceError } from "../../shared/errors.ts";
import type { Jurisdiction } from "../../shared/object_place.ts";
import type { LocationHint } from "./location_hint.ts";

/** What is used of a namespace of Durable Objects. One name is another object in every jurisdiction. */
export interface ObjectNamespace<Id, Stub> {
  idFromName(name: string): Id;
  get(id: Id, options?: { locationHint?: LocationHint }): Stub;
  jurisdiction(jurisdiction: Jurisdiction): ObjectNamespace<Id, Stub>;
}

/**
 * The part of a namespace whose objects stay in `jurisdiction`; all of it without one.
 * @throws {ServiceError} `bad-request` where the platform has no such part
 */
export function namespaceIn<Id, Stub>(
  namespace: ObjectNamespace<Id, Stub>,
  jurisdiction: Jurisdiction | undefined,
): ObjectNamespace<Id, Stub> {
  if (jurisdiction === undefined) return namespace;
  try {
    return namespace.jurisdiction(jurisdiction);
  } catch {
    // Plain workerd runs where it runs, and throws.
    throw new ServiceError("bad-request", "This service cannot keep a share in one jurisdiction.", {
      hint: "Share without --jurisdiction, or use a service on Cloudflare.",
    });
  }
}

/** The refusal of a name whose object is in another jurisdiction than asked for: it cannot move. */
export function livesElsewhere(name: string): ServiceError {
  return new ServiceError("name-taken", `The name ${name} lives in another jurisdiction.`, {
    hint: "Choose another name, or leave the choice to spanway.",
  });
}
