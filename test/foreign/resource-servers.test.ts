/** Unmodified libraries take the tokens of this server and refuse all others, through rotations of its key: contract §2, §4. */
import { createPublicKey } from 'node:crypto';
import { generateKeyPair, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { rotateKeys } from '../../src/operations/keys.ts';
import { describeOnBothDatabases, makeDatabase } from '../support/databases.ts';
import { decodePart, tamper } from '../support/expectations.ts';
import { type Stage, setStage } from '../support/stage.ts';
import { LIBRARIES } from './resource-servers.ts';

const HOUR = 3_600_000;

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Each by what is wrong with it. */
async function badTokens({ server, issuer }: Stage, good: string): Promise<Readonly<Record<string, string>>> {
  const header = decodePart(good, 'header');
  const claims = decodePart(good, 'claims');
  const [, payload] = good.split('.');
  const { body } = await server.send({ path: '/.well-known/jwks.json' });
  const jwk = (body.keys as { kid: string }[]).find(({ kid }) => kid === header.kid) ?? {};
  const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'pem', type: 'spki' });
  const foreign = await generateKeyPair('ES256');
  const forged = new SignJWT(claims);

  server.clock.advance(-HOUR);
  const expired = (await server.login()).access_token;
  server.clock.advance(HOUR);
  await server.addClient('billing', { isPublic: true, audiences: ['billing'] });
  const { refresh_token } = await server.login();
  expect(claims).toMatchObject({ iss: issuer, aud: 'api' });
  return {
    'a changed claim': tamper(good, 'claims', { sub: 'root' }),
    'no signature': `${encode({ ...header, alg: 'none' })}.${payload}.`,
    'the public key as a secret': await new SignJWT(claims)
      .setProtectedHeader({ ...header, alg: 'HS256' })
      .sign(new TextEncoder().encode(String(pem))),
    'another key under the same kid': await forged
      .setProtectedHeader({ ...header, alg: 'ES256' })
      .sign(foreign.privateKey),
    'an unknown kid': await new SignJWT(claims)
      .setProtectedHeader({ ...header, alg: 'ES256', kid: 'unknown' })
      .sign(foreign.privateKey),
    'another audience': (await server.login({ client_id: 'billing' })).access_token,
    'a refresh token': refresh_token,
    expired,
    junk: 'x',
  };
}

describeOnBothDatabases('a resource server', (makeOne) => {
  test.each(LIBRARIES)('with $name takes what is genuine, and nothing else', async ({ start }) => {
    const stage = await setStage(await makeOne());
    const subjectOf = await start(stage);
    const { access_token } = await stage.login(stage.backend);
    expect(await subjectOf(access_token)).toBe(stage.server.subject);
    for (const [fault, token] of Object.entries(await badTokens(stage, access_token)))
      expect(await subjectOf(token), fault).toBeNull();
    expect(await subjectOf(access_token)).toBe(stage.server.subject);
  });

  test.each(LIBRARIES)('with $name does not notice a rotation of the key (I33)', async ({ start, introspects }) => {
    const stage = await setStage(await makeOne());
    const { server } = stage;
    const subjectOf = await start(stage);
    const tokens: string[] = [];
    const kids = new Set<unknown>();
    for (let rotation = 0; rotation < 3; rotation += 1) {
      const { access_token } = await stage.login(stage.backend);
      tokens.push(access_token);
      kids.add(decodePart(access_token, 'header').kid);
      for (const token of tokens) expect(await subjectOf(token)).toBe(server.subject);
      await rotateKeys(server.app, 'access');
    }
    expect(kids.size).toBe(3);

    const ended = await stage.login(stage.backend);
    await server.post('/logout', { refresh_token: ended.refresh_token });
    expect(await subjectOf(ended.access_token)).toBe(introspects === true ? null : server.subject);
  });
});

const OTHER_ALGORITHMS = (['RS256', 'EdDSA'] as const).flatMap((algorithm) =>
  LIBRARIES.filter(({ introspects, algorithms }) => !introspects && (algorithms?.includes(algorithm) ?? true)).map(
    (library) => [library.name, algorithm, library] as const,
  ),
);

test.each(OTHER_ALGORITHMS)(
  'a resource server with %s takes tokens signed with %s',
  async (_name, algorithm, { start }) => {
    const stage = await setStage(await makeDatabase('sqlite'), algorithm);
    const subjectOf = await start(stage);
    const { access_token } = await stage.login(stage.backend);
    expect(decodePart(access_token, 'header').alg).toBe(algorithm);
    expect(await subjectOf(access_token)).toBe(stage.server.subject);
    expect(await subjectOf(tamper(access_token, 'claims', { sub: 'root' }))).toBeNull();
  },
);
