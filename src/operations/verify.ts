/**
 * Whether an access token is good, now, for this resource server. One order of judgement, so one answer: spelling, header,
 * signature, `iss typ`, then `exp`, then `aud`, then state. What says yes is never older than the request.
 */
import { z } from 'zod';
import type { App } from '../app.ts';
import { type GenuineAccessToken, isExpired, readAccessToken } from '../crypto/access-token.ts';
import type { KeyRings } from '../crypto/key-ring.ts';
import type { Client } from '../domain/client.ts';
import { keyRingsFor } from './key-ring.ts';

/** `POST /verify` (contract §3). Without `audience`: any of those that the resource server is registered for. */
export const VerifyBody = z.object({ token: z.string(), audience: z.string().min(1, 'is empty').optional() });

/** In the order in which they are judged; all but `malformed` only of a genuine token. */
export type InactiveReason = 'malformed' | 'expired' | 'wrong_audience' | 'revoked';

export type VerifyOutcome =
  | { readonly active: true; readonly token: GenuineAccessToken }
  | { readonly active: false; readonly reason: InactiveReason };

const inactive = (reason: InactiveReason): VerifyOutcome => ({ active: false, reason });

/** @param resourceServer authenticated: its registered audiences limit what it may ask about */
export async function verify(
  app: App,
  resourceServer: Client,
  token: string,
  audience?: string,
): Promise<VerifyOutcome> {
  const outcome = await judge(app, resourceServer, token, audience);
  app.metrics.verified(outcome.active ? 'active' : outcome.reason);
  return outcome;
}

async function judge(
  app: App,
  resourceServer: Client,
  token: string,
  audience: string | undefined,
): Promise<VerifyOutcome> {
  const ring = await keyRingsFor(app, token);
  const genuine = genuineToken(app, ring, token);
  const key = genuine === undefined ? undefined : ring.access.byId.get(genuine.kid);
  if (genuine === undefined || key === undefined) return inactive('malformed');
  if (isExpired(genuine, app.clock.now())) return inactive('expired');
  if (!suits(app, genuine, resourceServer, audience)) return inactive('wrong_audience');
  if (key.state === 'compromised' || !(await app.isLive(genuine.claims.sid))) return inactive('revoked');
  return { active: true, token: genuine };
}

function genuineToken(app: App, ring: KeyRings, token: string): GenuineAccessToken | undefined {
  const remembered = app.issued.get(token);
  if (remembered !== undefined) return remembered;
  const reading = readAccessToken(token, ring, app.config.issuer, app.clock.now());
  if (reading.kind === 'malformed') return undefined;
  app.issued.add(token, reading.claims);
  return reading.claims;
}

function suits(
  app: App,
  { claims }: GenuineAccessToken,
  resourceServer: Client,
  audience: string | undefined,
): boolean {
  const registered = resourceServer.audiences.length === 0 ? [app.config.tokens.audience] : resourceServer.audiences;
  if (audience !== undefined && !registered.includes(audience)) return false;
  const asked = audience === undefined ? registered : [audience];
  return typeof claims.aud === 'string' ? asked.includes(claims.aud) : claims.aud.some((one) => asked.includes(one));
}
