import { SpanwayError } from "../shared/errors.ts";

/**
 * The text bindings of the Worker, as they are configured. Null is what plain workerd makes of an environment variable that
 * is not set, and an empty text is how people leave one out: both are taken for nothing at all.
 */
export interface ServiceEnv {
  /** Secret that edges show. At least 16 characters; without it the service works but takes no edges. */
  readonly SPANWAY_SERVICE_KEY?: string | null;
  /** Shares are at NAME.DOMAIN; the service itself at DOMAIN. Without port. Default: localhost. */
  readonly SPANWAY_DOMAIN?: string | null;
  /**
   * Origins by which agents reach the service, separated by commas; the first is the public one, whose scheme and port
   * the URLs of shares get. Tickets for any other are not taken. Without it, tickets are taken for DOMAIN with the
   * scheme and port that their request was sent to.
   */
  readonly SPANWAY_ORIGINS?: string | null;
  /**
   * The header in which whoever stands in front of the Worker says the visitor's address; `none` where nobody does, as
   * visitors could then write it themselves. Default: that of Cloudflare.
   */
  readonly SPANWAY_VISITOR_HEADER?: string | null;
  /** `objects`: a line in the log whenever the object of a share is loaded, to see how rarely that is. */
  readonly SPANWAY_TRACE?: string | null;
  /**
   * Largest body of a visitor's request to a share that is attached to the Worker itself: what the plan at Cloudflare takes,
   * or less. Without it there is no bound but that of the platform.
   */
  readonly SPANWAY_BODY_MAX_BYTES?: string | null;
  /**
   * Where agents attach: `edges` alone, or `anywhere`, which is the object of their share while no edge is there. Default:
   * anywhere. A Worker that stands behind its edge has to wait for it, as no agent would reach an object through one.
   */
  readonly SPANWAY_ATTACH?: string | null;
}

/** The same, checked. */
export interface Settings {
  readonly key: string | undefined;
  readonly domain: string;
  /** Origins in the form of `URL.origin`; empty when not configured. */
  readonly origins: readonly string[];
  /** In lower case; undefined when nobody's word on a visitor's address is taken but an edge's. */
  readonly visitorHeader: string | undefined;
  /** Undefined: no bound of ours. */
  readonly bodyMaxBytes: number | undefined;
  /** False: agents attach at edges alone. */
  readonly objectsAttach: boolean;
}

const KEY_MIN_CHARS = 16;
export const CLOUDFLARE_VISITOR_HEADER = "cf-connecting-ip";
const NO_VISITOR_HEADER = "none";

/** @throws {SpanwayError} `misconfigured`, for whoever runs the service */
export function readSettings(env: ServiceEnv): Settings {
  const domain = (env.SPANWAY_DOMAIN || "localhost").toLowerCase().replace(/\.$/, "");
  if (!/^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(domain)) {
    throw misconfigured(`SPANWAY_DOMAIN is no domain name: ${JSON.stringify(domain)}`);
  }
  const key = env.SPANWAY_SERVICE_KEY || undefined;
  if (key !== undefined && key.length < KEY_MIN_CHARS) {
    throw misconfigured(`SPANWAY_SERVICE_KEY is shorter than ${KEY_MIN_CHARS} characters`);
  }
  const origins = (env.SPANWAY_ORIGINS ?? "").split(",").map((origin) => origin.trim()).filter((origin) =>
    origin !== ""
  );
  const visitorHeader = (env.SPANWAY_VISITOR_HEADER || CLOUDFLARE_VISITOR_HEADER).toLowerCase();
  if (!/^[a-z0-9-]{1,64}$/.test(visitorHeader)) {
    throw misconfigured(`SPANWAY_VISITOR_HEADER is no name of a header: ${JSON.stringify(visitorHeader)}`);
  }
  return {
    key,
    domain,
    origins: origins.map(checkOrigin),
    visitorHeader: visitorHeader === NO_VISITOR_HEADER ? undefined : visitorHeader,
    bodyMaxBytes: bodyMaxBytes(env),
    objectsAttach: objectsAttach(env),
  };
}

function bodyMaxBytes({ SPANWAY_BODY_MAX_BYTES: text }: ServiceEnv): number | undefined {
  if (text === undefined || text === null || text === "") return undefined;
  if (!/^[1-9][0-9]{0,14}$/.test(text)) {
    throw misconfigured(`SPANWAY_BODY_MAX_BYTES is no number of bytes: ${JSON.stringify(text)}`);
  }
  return Number(text);
}

function objectsAttach({ SPANWAY_ATTACH: text }: ServiceEnv): boolean {
  if (text && text !== "edges" && text !== "anywhere") {
    throw misconfigured(`SPANWAY_ATTACH is neither edges nor anywhere: ${JSON.stringify(text)}`);
  }
  return text !== "edges";
}

function checkOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search + url.hash !== "") {
    throw misconfigured(`SPANWAY_ORIGINS names something that is no origin: ${JSON.stringify(text)}`);
  }
  return url.origin;
}

function misconfigured(message: string): SpanwayError {
  return new SpanwayError("misconfigured", message, { hint: "Correct the settings of the service." });
}
