/** Tokens that the server never made, signed with its true keys: what remains to refuse is what they say. */
import { signAsymmetric, signHmac } from '../../src/crypto/jws.ts';
import { decodePart } from './expectations.ts';
import type { TestServer } from './test-server.ts';

type Change = Readonly<Record<string, unknown>>;

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const signedPart = (token: string, change: Change, header: Change): string =>
  `${encode({ ...decodePart(token, 'header'), ...header })}.${encode({ ...decodePart(token, 'claims'), ...change })}`;

/** The access token with other claims or another header, under a genuine signature of the active key. */
export async function resignAccess(
  server: TestServer,
  token: string,
  change: Change,
  header: Change = {},
): Promise<string> {
  const { active } = (await server.app.keys.current()).access;
  const signed = signedPart(token, change, header);
  return `${signed}.${signAsymmetric(signed, active.alg, active.privateKey)}`;
}

/** The refresh token with other claims or another header, under a genuine signature of the key it was signed with. */
export async function resignRefresh(
  server: TestServer,
  token: string,
  change: Change,
  header: Change = {},
): Promise<string> {
  const { refresh } = await server.app.keys.current();
  const key = [...refresh.byId.values()].find(({ kid }) => kid === decodePart(token, 'header').kid);
  if (key === undefined) throw new Error('the token names no key of this server');
  const signed = signedPart(token, change, header);
  return `${signed}.${signHmac(signed, key.secret)}`;
}
