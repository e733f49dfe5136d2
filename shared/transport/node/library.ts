/** Loads `@fails-components/webtransport`, which prints on standard output when its HTTP/3 part is missing. */

import { TransportError } from "../../errors.ts";

/** The package, with what it exports. */
export type WebTransportLibrary = typeof import("@fails-components/webtransport");

/** The native package that carries HTTP/3; its installation downloads or compiles a library, so it is optional. */
const NATIVE_PACKAGE = "@fails-components/webtransport-transport-http3-quiche";

/** Whether HTTP/3 was installed. */
export function hasHttp3(): boolean {
  try {
    import.meta.resolve(NATIVE_PACKAGE);
    return true;
  } catch {
    return false;
  }
}

/**
 * Loads the package with HTTP/3.
 * @throws {TransportError} `unsupported` when it is not installed or does not run here
 */
export async function loadWithHttp3(): Promise<WebTransportLibrary> {
  if (!hasHttp3()) {
    throw new TransportError("unsupported", "this Node has no WebTransport over UDP", {
      hint: `npm install ${NATIVE_PACKAGE}`,
    });
  }
  try {
    // The package itself only prints why its native part does not load.
    await import(NATIVE_PACKAGE);
  } catch (cause) {
    throw new TransportError("unsupported", "WebTransport over UDP is installed, but does not run on this machine", {
      hint: `npm rebuild ${NATIVE_PACKAGE}`,
      cause,
    });
  }
  const library = await import("@fails-components/webtransport");
  await library.quicheLoaded;
  return library;
}

/** Loads the package for its HTTP/2 mode. Only tests use it: it prints its complaint about HTTP/3 on the console. */
export async function loadWithHttp2(): Promise<WebTransportLibrary> {
  return await import("@fails-components/webtransport");
}
