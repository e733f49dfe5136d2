/**
 * In which part of the world an object is to be made: that of the agent whose share it is. Without a hint Cloudflare goes
 * by the data centre that the first request came to, which anycast may have led elsewhere.
 */

/** The regions that Cloudflare takes as hints. */
export type LocationHint = "wnam" | "enam" | "sam" | "weur" | "eeur" | "apac" | "oc" | "afr" | "me";

/** Degrees east. Denver and Calgary are west, Winnipeg, Dallas and Mexico City east. */
const NORTH_AMERICA_EAST_FROM = -100;
/** Berlin and Rome are west, Stockholm, Vienna and Warsaw east. */
const EUROPE_EAST_FROM = 15;
/** Russia counts as Europe as a whole, but Irkutsk and Vladivostok have Asia's cables. */
const EUROPE_UNTIL = 90;

/** Countries that are counted as Asia or Africa, by what is closest to them instead. */
const CLOSER: Readonly<Record<string, LocationHint>> = {
  ...regions("me", "AE BH EG IL IQ IR JO KW LB OM PS QA SA SY YE"),
  ...regions("eeur", "AM AZ CY GE KG KZ TJ TM TR UZ"),
};

/**
 * The hint for a request by what Cloudflare says of it (`request.cf`): the country where another region than that of its
 * continent is closer, else continent and longitude. Undefined when it says too little.
 */
export function locationHint(cf: unknown): LocationHint | undefined {
  const { country, continent, longitude } = fields(cf);
  if (typeof country === "string" && Object.hasOwn(CLOSER, country)) return CLOSER[country];
  const east = degrees(longitude);
  switch (continent) {
    case "NA":
      return east === undefined ? undefined : east < NORTH_AMERICA_EAST_FROM ? "wnam" : "enam";
    case "EU":
      if (east === undefined) return undefined;
      // Chukotka lies beyond 180°.
      if (east >= EUROPE_UNTIL || east < -EUROPE_UNTIL) return "apac";
      return east < EUROPE_EAST_FROM ? "weur" : "eeur";
    case "SA":
      return "sam";
    case "AS":
      return "apac";
    case "OC":
      return "oc";
    case "AF":
      return "afr";
    default:
      return undefined;
  }
}

/** The data centre of Cloudflare that a request came to, such as `FRA`; undefined elsewhere. */
export function dataCentre(cf: unknown): string | undefined {
  const { colo } = fields(cf);
  return typeof colo === "string" && /^[A-Z]{3}$/.test(colo) ? colo : undefined;
}

function degrees(text: unknown): number | undefined {
  if (typeof text !== "string" || !/^-?\d{1,3}(\.\d+)?$/.test(text)) return undefined;
  const value = Number(text);
  return Math.abs(value) <= 180 ? value : undefined;
}

function fields(cf: unknown): Readonly<Record<string, unknown>> {
  return typeof cf === "object" && cf !== null ? cf as Readonly<Record<string, unknown>> : {};
}

function regions(hint: LocationHint, countries: string): Record<string, LocationHint> {
  return Object.fromEntries(countries.split(" ").map((country) => [country, hint]));
}
