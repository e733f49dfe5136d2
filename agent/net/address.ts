/** Addresses as they are written: `127.0.0.1:80`, `[::1]:80`. */
export function formatAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
