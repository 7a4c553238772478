/** What `token inspect` says of a token: what it is, whether the server accepts it, and why not (contract §7). */
import { expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { DAY, MINUTE } from '../../src/domain/time.ts';
import { changeClient } from '../../src/operations/clients.ts';
import { inspectToken } from '../../src/operations/inspect-token.ts';
import { declareKeyCompromised } from '../../src/operations/keys.ts';
import { revoke } from '../../src/operations/revoke.ts';
import { addUser } from '../../src/operations/users.ts';
import { makeDatabase } from '../support/databases.ts';
import { eventsOf, logIn, openTestApp, refreshWith } from '../support/test-app.ts';

async function prepare() {
  const { app, clock } = await openTestApp(await makeDatabase('sqlite'));
  await addUser(app, { name: 'alice', password: new Secret('correct horse') });
  const pair = await logIn(app, 'alice', 'correct horse');
  return { app, clock, pair };
}

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

test('good tokens of both kinds are accepted, with what they say, their key and their session', async () => {
  const { app, pair } = await prepare();
  const access = await inspectToken(app, pair.accessToken);
  expect(access).toMatchObject({
    kind: 'access',
    header: { typ: 'at+jwt', alg: 'ES256' },
    claims: { sid: pair.sid, client_id: 'default' },
    isGenuine: true,
    accepted: true,
    reason: null,
    key: { state: 'active' },
    family: { sid: pair.sid, state: 'live' },
  });
  expect(await inspectToken(app, pair.refreshToken)).toMatchObject({
    kind: 'refresh',
    header: { typ: 'rt+jwt', alg: 'HS256' },
    claims: { gen: 0 },
    accepted: true,
    reason: null,
  });
});

test('the signature is in no report', async () => {
  const { app, pair } = await prepare();
  for (const token of [pair.accessToken, pair.refreshToken]) {
    expect(JSON.stringify(await inspectToken(app, token))).not.toContain(token.split('.')[2]);
  }
});

test('a spent refresh token is reused, and looking at it ends no session and leaves no trace', async () => {
  const { app, pair } = await prepare();
  await refreshWith(app, pair);
  const { length } = await eventsOf(app);
  expect(await inspectToken(app, pair.refreshToken)).toMatchObject({
    accepted: false,
    reason: 'reused',
    explanation: expect.stringContaining('late_retry'),
    family: { state: 'live' },
  });
  expect(await eventsOf(app, length)).toEqual([]);
  await changeClient(app, { id: 'default', policy: { leeway: MINUTE } });
  expect(await inspectToken(app, pair.refreshToken)).toMatchObject({ accepted: true, reason: null });
});

test('expired tokens are told as expired', async () => {
  const { app, clock, pair } = await prepare();
  clock.advance(5 * MINUTE);
  expect(await inspectToken(app, pair.accessToken)).toMatchObject({
    accepted: false,
    reason: 'expired',
    isGenuine: true,
  });
  expect(await inspectToken(app, pair.refreshToken)).toMatchObject({ accepted: true });
  clock.advance(90 * DAY);
  expect(await inspectToken(app, pair.refreshToken)).toMatchObject({ accepted: false, reason: 'expired' });
});

test('tokens of an ended session are told as revoked, with the cause', async () => {
  const { app, pair } = await prepare();
  await revoke(app, { which: { family: pair.sid } });
  for (const token of [pair.accessToken, pair.refreshToken]) {
    expect(await inspectToken(app, token)).toMatchObject({
      accepted: false,
      reason: 'revoked',
      explanation: expect.stringContaining('admin'),
      family: { state: 'revoked' },
    });
  }
});

test('a token of a compromised key is told as such', async () => {
  const { app, pair } = await prepare();
  await declareKeyCompromised(app, 'access');
  expect(await inspectToken(app, pair.accessToken)).toMatchObject({
    accepted: false,
    reason: 'revoked',
    key: { state: 'compromised' },
    family: { state: 'live' },
  });
  await declareKeyCompromised(app, 'refresh');
  expect(await inspectToken(app, pair.refreshToken)).toMatchObject({
    accepted: false,
    reason: 'malformed',
    isGenuine: false,
  });
});

test('whatever is changed about a token makes it malformed', async () => {
  const { app, pair } = await prepare();
  const [header = '', payload = '', signature = ''] = pair.accessToken.split('.');
  const claims: Record<string, unknown> = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const forged = [
    [`${header}.${encoded({ ...claims, sub: 'mallory' })}.${signature}`, 'signature'],
    [`${header}.${encoded({ ...claims, iss: 'https://evil.example' })}.${signature}`, 'issuer'],
    [`${encoded({ alg: 'ES256', kid: 'unknown', typ: 'at+jwt' })}.${payload}.${signature}`, 'key'],
    [`${header}.${payload}.${signature}=`, 'signature'],
  ] as const;
  for (const [token, explanation] of forged) {
    expect(await inspectToken(app, token), token).toMatchObject({
      kind: 'access',
      isGenuine: false,
      accepted: false,
      reason: 'malformed',
      explanation: expect.stringContaining(explanation),
    });
  }
});

test.each([
  ['nothing', ''],
  ['junk', 'junk'],
  ['three dots', '...'],
  ['a mebibyte', 'x'.repeat(1_048_576)],
  ['a JWE', `${encoded({ alg: 'dir', enc: 'A256GCM' })}.a.b.c.d`],
  ['a JWT of somebody else', `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({ sub: 'x' })}.AAAA`],
  ['a header that is no object', `${encoded([1])}.${encoded({})}.AAAA`],
])('%s is of unknown kind, not accepted, and has an explanation', async (_, token) => {
  const { app } = await openTestApp(await makeDatabase('sqlite'));
  const report = await inspectToken(app, token);
  expect(report).toMatchObject({ kind: 'unknown', accepted: false, reason: 'malformed', isGenuine: false });
  expect(report.explanation).not.toBeNull();
});
