/** A plain TCP port that leads to a TLS one, for clients under test that speak only the former. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connect } from 'node:tls';
import { onTestFinished } from 'vitest';

export async function openTlsClient(port: number, ca: string, host: string): Promise<number> {
  const server = createServer((near) => {
    const far = connect({ port, host: '127.0.0.1', servername: host, ca });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined).on('close', () => other.destroy());
    }
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
