import { UsageError } from "../errors.ts";
import type { TlsFiles } from "./options.ts";

export interface RawTls {
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
}

/** Both files or neither. */
export function tlsFiles({ tlsCert, tlsKey }: RawTls): TlsFiles | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert !== undefined && tlsKey !== undefined) return { certFile: tlsCert, keyFile: tlsKey };
  const missing = tlsCert === undefined ? "--tls-cert" : "--tls-key";
  throw new UsageError("HTTPS needs a certificate and its key.", `Give ${missing} FILE too.`);
}
