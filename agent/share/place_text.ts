import type { ObjectPlace } from "../../shared/object_place.ts";

/** What Cloudflare's regions are called by people. */
const REGIONS: ReadonlyMap<string, string> = new Map([
  ["wnam", "western North America"],
  ["enam", "eastern North America"],
  ["sam", "South America"],
  ["weur", "western Europe"],
  ["eeur", "eastern Europe"],
  ["apac", "Asia-Pacific"],
  ["oc", "Oceania"],
  ["afr", "Africa"],
  ["me", "the Middle East"],
]);

/** Where a share lives, for people: `western Europe, near FRA; it stays in the EU`. */
export function placeText({ jurisdiction, near, hint }: ObjectPlace): string {
  const region = hint === undefined ? undefined : REGIONS.get(hint) ?? hint;
  const where = [region, near === undefined ? undefined : `near ${near}`].filter((part) => part !== undefined).join(
    ", ",
  );
  if (jurisdiction === undefined) return where;
  const kept = `in the ${jurisdiction.toUpperCase()}`;
  return where === "" ? kept : `${where}; it stays ${kept}`;
}
