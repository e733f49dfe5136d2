import "./reflect_metadata.ts";
import * as x509 from "@peculiar/x509";
import { isIP } from "node:net";
import { CERTIFICATE_BACKDATE_MS, CERTIFICATE_LIFE_MS } from "../../shared/limits.ts";

/** A certificate that nobody has to sign: clients know it by its hash. */
export interface SelfSignedCertificate {
  /** PEM. */
  readonly cert: string;
  /** The private key, PKCS #8 in PEM. Secret. */
  readonly key: string;
  /** SHA-256 of the certificate in DER: what `serverCertificateHashes` takes. */
  readonly sha256: Uint8Array;
  /** Unix time in milliseconds. */
  readonly notAfter: number;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/**
 * Makes a certificate that browsers accept by its hash: ECDSA P-256, valid for CERTIFICATE_LIFE_MS from `now`.
 *
 * @param names host names and IP addresses that it is for; at least one
 * @param now Unix time in milliseconds
 */
export async function makeCertificate(names: readonly string[], now: number): Promise<SelfSignedCertificate> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [names[0] ?? "localhost"] }],
    notBefore: new Date(now - CERTIFICATE_BACKDATE_MS),
    notAfter: new Date(now + CERTIFICATE_LIFE_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? "dns" as const : "ip" as const, value })),
      ),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return await readCertificate(certificate.toString("pem"), x509.PemConverter.encode(key, "PRIVATE KEY"));
}

/**
 * Reads a certificate back from its PEM texts.
 * @throws {Error} when `cert` is not a certificate
 */
export async function readCertificate(cert: string, key: string): Promise<SelfSignedCertificate> {
  const certificate = new x509.X509Certificate(cert);
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", certificate.rawData));
  return { cert, key, sha256, notAfter: certificate.notAfter.getTime() };
}

/** 16 random bytes in hexadecimal, positive as DER wants it. */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
