/** A static IP with its name: what a share is on this machine. */
import type { TunError } from "../errors.ts";
import { launched } from "../launched.ts";
import { type PublishedName, publishName } from "./names/publish_name.ts";
import { openStaticIp, type StaticIp, type StaticIpOptions } from "./static_ip.ts";

export interface NamedIp {
  readonly ip: string;
  readonly ip6: string | undefined;
  /** Name of our device; undefined where another connection to the same share carries the address. */
  readonly device: string | undefined;
  /** NAME.spanway; undefined where this machine does not know it. */
  readonly hostname: string | undefined;
  /** How the person gets the name, where it is not known. */
  readonly hint: string | undefined;
  /** Everything is as it was. Idempotent. */
  close(): Promise<void>;
}

export interface NamedIpOptions extends StaticIpOptions {
  /** Use the file of host names. */
  readonly hosts: boolean;
}

/**
 * Gets the address, and publishes the name.
 * @throws {TunError} there can be no address; or no name, where the file of host names was asked for
 */
export async function openNamedIp(options: NamedIpOptions): Promise<NamedIp> {
  let ip: StaticIp | undefined;
  let published: PublishedName | undefined;
  let closed = false;
  const publish = async (address: StaticIp) => {
    const { sh, resolvectl } = launched().programs;
    const { name } = options.key;
    return await publishName({ ...address, name, hosts: options.hosts, programs: { sh, resolvectl } });
  };
  // The system forgets the name while it still has the device.
  const close = async () => {
    closed = true;
    await published?.close();
    await ip?.close();
  };
  const carriedOn = async (ours: StaticIp | TunError) => {
    options.carriedOn(ours);
    if ("ip" in ours && !options.hosts) published = await publish(ours).catch(() => published);
    if (closed) await published?.close();
  };
  try {
    ip = await openStaticIp({
      ...options,
      carriedOn: (ours) => void carriedOn(ours),
      lost(error) {
        void published?.close();
        options.lost(error);
      },
    });
    published = await publish(ip);
  } catch (error) {
    await close();
    throw error;
  }
  const { ip: v4, ip6, device } = ip;
  const hostname = published.how === "none" ? undefined : `${options.key.name}.spanway`;
  return { ip: v4, ip6, device, hostname, hint: published.hint, close };
}
