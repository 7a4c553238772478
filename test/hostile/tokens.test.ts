/**
 * Every hostile token (security J1 to J31) at every place that takes one: as an access token where it would open something,
 * as a refresh token and as an access token at a refresh. Each is refused in its word, nothing changes, nothing is followed.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { expectInvalidGrant, expectNoChange, expectRefusal } from '../support/expectations.ts';
import { resignAccess } from '../support/forge.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';
import { expectAlive } from './raw.ts';
import { type Hostile, hostileTokens } from './tokens.ts';

/** Named in tokens; whoever connects has followed one. */
let trap: Server | undefined;
let visits = 0;
let trapUrl = '';

beforeAll(async () => {
  trap = createServer((socket) => {
    visits += 1;
    socket.destroy();
  });
  const listening = trap;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const address = listening.address();
  trapUrl = `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}/jwks.json`;
});
afterAll(() => trap?.close());

/** Whether HTTP can carry it in a header as it is: white space around it belongs to HTTP (RFC 9110 §5.5). */
const fitsHeader = (token: string): boolean => /^[\x20-\x7e]*$/.test(token) && token.trim() === token;

type Place = (server: TestServer, pair: Pair, token: string) => Promise<void>;

const PLACES: Readonly<Record<string, Place>> = {
  '/verify': async (server, _pair, token) => {
    const answer = await server.post('/verify', { token }, server.api.basic);
    // Half a surrogate pair or U+0000 makes the body no text at all.
    if (token.includes('\0')) expectRefusal(answer, 400, 'invalid_request');
    else expect(answer).toMatchObject({ status: 200, body: { active: false, reason: 'malformed' } });
    // I19: one word.
    if (answer.status === 200) expect(Object.keys(answer.body).sort()).toEqual(['active', 'reason']);
  },
  '/forward-auth': async (server, _pair, token) => {
    if (!fitsHeader(token) || token.length > 12_000) return;
    const answer = await server.forwardAuth(token);
    expect(answer.status).toBe(401);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-auth-'))).toEqual([]);
  },
  '/oauth/introspect': async (server, _pair, token) => {
    // A form cannot say U+0000, and an empty parameter counts as absent.
    if (token.includes('\0') || token === '') return;
    const headers = { ...server.api.basic, 'content-type': 'application/x-www-form-urlencoded' };
    const body = new URLSearchParams({ token }).toString();
    const answer = await server.send({ method: 'POST', path: '/oauth/introspect', headers, body });
    if (answer.status !== 400) expect(answer).toMatchObject({ status: 200, text: '{"active":false}' });
  },
  'the refresh token of /refresh': async (server, pair, token) => {
    const answer = await server.tryRefresh({ ...pair, refresh_token: token });
    if (token.includes('\0')) expectRefusal(answer, 400, 'invalid_request');
    else expectInvalidGrant(answer, 'malformed');
  },
  'the access token of /refresh': async (server, pair, token) => {
    const answer = await server.tryRefresh({ ...pair, access_token: token });
    if (token.includes('\0')) expectRefusal(answer, 400, 'invalid_request');
    else expectInvalidGrant(answer, 'mismatch');
  },
  '/logout and /sessions': async (server, _pair, token) => {
    for (const path of ['/logout', '/sessions']) {
      expectRefusal(await server.post(path, { refresh_token: token }), 400, 'invalid_request');
    }
  },
};

/** J17 and J24 have tests of their own: one needs another instance, the other is no forgery. */
const ROWS = Array.from({ length: 31 }, (_, index) => `J${index + 1}`).filter((row) => row !== 'J17' && row !== 'J24');

test.each(Object.entries(PLACES))(
  `${ROWS.join(' ')} at %s`,
  async (_name, judge) => {
    const server = await startTestServer({ url: await makeDatabase('sqlite') });
    const pair = await server.login();
    const visitsBefore = visits;
    const tokens: Hostile[] = [
      ...(await hostileTokens(server, pair.access_token, trapUrl)),
      ...(await hostileTokens(server, pair.refresh_token, trapUrl)),
    ];
    expect(new Set(tokens.map(([row]) => row))).toEqual(new Set(ROWS));
    await expectNoChange(server, async () => {
      for (const [row, what, token] of tokens) {
        await judge(server, pair, token).catch((error: unknown) => {
          throw new Error(`${row}, ${what}: ${String(error)}`, { cause: error });
        });
      }
    });
    expect(visits).toBe(visitsBefore);
    await expectAlive(server);
    // After all of it the genuine pair is as good as before.
    expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
    await server.refresh(pair);
  },
  120_000,
);

/** A signature by another key of the same kind, as another instance would make it. */
const signedByStranger = (token: string): string => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signed = token.slice(0, token.lastIndexOf('.'));
  return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};

test('J17: tokens of another instance with the same issuer mean nothing here', async () => {
  const there = await startTestServer({ url: await makeDatabase('sqlite') });
  const foreign = await there.login();
  await there.stop();
  const here = await startTestServer({ url: await makeDatabase('sqlite') });
  const mine = await here.login();
  await expectNoChange(here, async () => {
    for (const token of [foreign.access_token, foreign.refresh_token, signedByStranger(mine.access_token)]) {
      for (const judge of Object.values(PLACES)) await judge(here, mine, token);
    }
  });
});

test('J24: the ECDSA twin of a token lives and ends with it', async () => {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const pair = await server.login();
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const [header = '', claims = '', signature = ''] = pair.access_token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const other = (order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)).toString(16).padStart(64, '0');
  const twin = `${header}.${claims}.${Buffer.concat([bytes.subarray(0, 32), Buffer.from(other, 'hex')]).toString('base64url')}`;
  expect(await server.verify(twin)).toEqual(await server.verify(pair.access_token));
  expect((await server.post('/logout', { refresh_token: pair.refresh_token })).status).toBe(204);
  for (const token of [twin, pair.access_token]) {
    expect(await server.verify(token)).toEqual({ active: false, reason: 'revoked' });
  }
});

test('J28: 8,192 characters are judged by what they say, 8,193 are not read', async () => {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const pair = await server.login();
  const sized = (count: number): Promise<string> =>
    resignAccess(server, pair.access_token, { filler: 'x'.repeat(count) });
  // Three bytes of claims are four characters: among some neighbours one has the length.
  const perCharacter = Math.floor(((8_192 - (await sized(0)).length) * 3) / 4);
  const near = await Promise.all([-3, -2, -1, 0, 1, 2, 3].map((more) => sized(perCharacter + more)));
  const longest = near.filter((token) => token.length <= 8_192).at(-1) ?? '';
  const tooLong = near.find((token) => token.length > 8_192) ?? '';
  expect(longest.length).toBeGreaterThanOrEqual(8_191);
  expect(tooLong.length).toBeLessThanOrEqual(8_195);
  expect(await server.verify(longest)).toMatchObject({ active: true, sid: pair.session_id });
  expect(await server.verify(tooLong)).toEqual({ active: false, reason: 'malformed' });
});
