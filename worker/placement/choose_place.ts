import type { Jurisdiction, ObjectPlace } from "../../shared/object_place.ts";
import type { NameHome } from "../names/name_records.ts";
import type { Nearness } from "../share/share_record.ts";
import { livesElsewhere } from "./jurisdiction.ts";
import { dataCentre, type LocationHint, locationHint } from "./location_hint.ts";

/** Regions with data centres in the European Union. Of others Cloudflare has to choose by itself there. */
const IN_EU: ReadonlySet<LocationHint> = new Set<LocationHint>(["weur", "eeur"]);

/** Where the object of a share that is being registered is to be found or made. */
export interface ChosenPlace {
  readonly home: NameHome;
  readonly hint: LocationHint | undefined;
  /** The same, for the share's record. */
  readonly near: Nearness | undefined;
}

/**
 * @param found where the name's object is already; whoever asks for no jurisdiction is content with any
 * @param cf what Cloudflare says of the agent's request
 * @throws {ServiceError} `name-taken` when it is elsewhere
 */
export function choosePlace(
  name: string,
  wanted: Jurisdiction | undefined,
  found: NameHome | undefined,
  cf: unknown,
): ChosenPlace {
  const home = found ?? { jurisdiction: wanted };
  if (wanted !== undefined && home.jurisdiction !== wanted) throw livesElsewhere(name);
  const closest = locationHint(cf);
  const hint = closest !== undefined && home.jurisdiction === "eu" && !IN_EU.has(closest) ? undefined : closest;
  // Near a data centre that the object may not be in there is nothing to say.
  const near = hint === undefined && closest !== undefined ? undefined : dataCentre(cf);
  const nearness = { ...(near === undefined ? {} : { near }), ...(hint === undefined ? {} : { hint }) };
  return { home, hint, near: near === undefined && hint === undefined ? undefined : nearness };
}

/** The place as agents are told of it; undefined when nothing is known. */
export function toldPlace({ jurisdiction }: NameHome, near: Nearness | undefined): ObjectPlace | undefined {
  const place: ObjectPlace = { ...(jurisdiction === undefined ? {} : { jurisdiction }), ...near };
  return Object.keys(place).length === 0 ? undefined : place;
}
