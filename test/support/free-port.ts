/**
 * A port that nobody listens on, for a program that has to be told one. Not one that the system gives to outgoing
 * connections (from 32768 on Linux): somebody who asks for a server that is down may be given the server's port for his own
 * end, even be connected to himself, and the server cannot have it back.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

const LOWEST = 20_000;
const HIGHEST = 32_767;
const TRIES = 100;

export async function freePort(): Promise<number> {
  for (let tries = 1; tries <= TRIES; tries += 1) {
    const port = randomInt(LOWEST, HIGHEST + 1);
    if (await isFree(port)) return port;
  }
  throw new Error(`No port from ${LOWEST} to ${HIGHEST} was free in ${TRIES} tries.`);
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen({ port, host: '127.0.0.1', exclusive: true });
  try {
    await once(probe, 'listening');
  } catch {
    return false;
  }
  probe.close();
  await once(probe, 'close');
  return true;
}
