/** Tokens that the server never made, signed with its true keys: what remains to refuse is what they say. */
import { signAccessToken } from '../../src/crypto/access-token.ts';
import { signHmac } from '../../src/crypto/jws.ts';
import { decodePart } from './expectations.ts';
import type { TestServer } from './test-server.ts';

/** The access token with other claims, under a genuine signature. */
export async function resignAccess(
  server: TestServer,
  token: string,
  change: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { access } = await server.app.keys.current();
  return signAccessToken({ ...decodePart(token, 'claims'), ...change } as never, {}, access.active);
}

/** The refresh token with other claims or another header, under a genuine signature of the key it was signed with. */
export async function resignRefresh(
  server: TestServer,
  token: string,
  change: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { refresh } = await server.app.keys.current();
  const key = [...refresh.byId.values()].find(({ kid }) => kid === decodePart(token, 'header').kid);
  if (key === undefined) throw new Error('the token names no key of this server');
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ ...decodePart(token, 'header'), ...header })}.${encode({ ...decodePart(token, 'claims'), ...change })}`;
  return `${signed}.${signHmac(signed, key.secret)}`;
}
