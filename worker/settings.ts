import { SpanwayError } from "../shared/errors.ts";

/** The text bindings of the Worker, as they are configured. */
export interface ServiceEnv {
  /** Secret that edges show. At least 16 characters; without it the service works but takes no edges. */
  readonly SPANWAY_SERVICE_KEY?: string;
  /** Shares are at NAME.DOMAIN; the service itself at DOMAIN. Without port. Default: localhost. */
  readonly SPANWAY_DOMAIN?: string;
  /**
   * Origins by which agents reach the service, separated by commas; the first is the public one, whose scheme and port
   * the URLs of shares get. Tickets for any other are not taken. Without it, tickets are taken for DOMAIN with the
   * scheme and port that their request was sent to.
   */
  readonly SPANWAY_ORIGINS?: string;
  readonly SPANWAY_VERSION?: string;
}

/** The same, checked. */
export interface Settings {
  readonly key: string | undefined;
  readonly domain: string;
  /** Origins in the form of `URL.origin`; empty when not configured. */
  readonly origins: readonly string[];
  readonly version: string;
}

const KEY_MIN_CHARS = 16;

/** @throws {SpanwayError} `misconfigured`, for whoever runs the service */
export function readSettings(env: ServiceEnv): Settings {
  const domain = (env.SPANWAY_DOMAIN ?? "localhost").toLowerCase().replace(/\.$/, "");
  if (!/^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(domain)) {
    throw misconfigured(`SPANWAY_DOMAIN is no domain name: ${JSON.stringify(domain)}`);
  }
  const key = env.SPANWAY_SERVICE_KEY;
  if (key !== undefined && key.length < KEY_MIN_CHARS) {
    throw misconfigured(`SPANWAY_SERVICE_KEY is shorter than ${KEY_MIN_CHARS} characters`);
  }
  const origins = (env.SPANWAY_ORIGINS ?? "").split(",").map((origin) => origin.trim()).filter((origin) =>
    origin !== ""
  );
  return { key, domain, origins: origins.map(checkOrigin), version: env.SPANWAY_VERSION ?? "unknown" };
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
