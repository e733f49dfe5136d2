import "./reflect_metadata.ts";
import assert from "node:assert/strict";
import { createHash, createPrivateKey, sign, verify, X509Certificate } from "node:crypto";
import { CERTIFICATE_BACKDATE_MS, CERTIFICATE_LIFE_MS } from "../../shared/limits.ts";
import { makeCertificate, readCertificate } from "./certificate.ts";

const NOW = Date.UTC(2027, 0, 2, 3, 4, 5);
const DAY = 24 * 60 * 60 * 1000;

Deno.test("a certificate is what browsers accept by its hash: P-256, below 14 days, for the names given", async () => {
  const { cert, key, sha256, notAfter } = await makeCertificate(["edge.example", "10.0.0.1", "::1"], NOW);
  const parsed = new X509Certificate(cert);
  assert.equal(parsed.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
  assert.equal(Date.parse(parsed.validTo), NOW + CERTIFICATE_LIFE_MS);
  assert.equal(notAfter, NOW + CERTIFICATE_LIFE_MS);
  assert.equal(Date.parse(parsed.validFrom), NOW - CERTIFICATE_BACKDATE_MS);
  assert.ok(CERTIFICATE_LIFE_MS + CERTIFICATE_BACKDATE_MS < 14 * DAY);
  assert.equal(parsed.subjectAltName, "DNS:edge.example, IP Address:10.0.0.1, IP Address:::1");
  assert.equal(parsed.ca, false);
  assert.deepEqual(sha256, new Uint8Array(createHash("sha256").update(parsed.raw).digest()));
  const data = new TextEncoder().encode("signed");
  assert.ok(verify("sha256", data, parsed.publicKey, sign("sha256", data, createPrivateKey(key))));
  assert.ok(parsed.verify(parsed.publicKey));
});

Deno.test("certificates differ, and come back from their texts", async () => {
  const [one, other] = await Promise.all([makeCertificate(["a"], NOW), makeCertificate(["a"], NOW)]);
  assert.notDeepEqual(one.sha256, other.sha256);
  assert.deepEqual(await readCertificate(one.cert, one.key), one);
  await assert.rejects(readCertificate("nonsense", one.key));
});
