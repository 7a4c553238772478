/** `auth-server/verifier` (contract §11): says offline what `/verify` says, and hears of an end within a second. */
import { expect, test } from 'vitest';
import { endAll } from '../../src/operations/end-all.ts';
import { declareKeyCompromised, rotateKeys } from '../../src/operations/keys.ts';
import { startFeedEpoch } from '../../src/store/revocations.ts';
import { hostileTokens } from '../hostile/tokens.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { decodePart, tamper } from '../support/expectations.ts';
import { resignAccess } from '../support/forge.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { JWKS, setVerifierStage, timeUntil } from './support.ts';

/** What `/verify` answers, as a verdict. */
const asVerdict = ({ active, reason, ...claims }: Readonly<Record<string, unknown>>) =>
  active === true ? { active, claims } : { active, reason };

/** Genuine signatures under claims that the server never writes, and what a hostile caller can make. */
async function strangeTokens(server: TestServer, current: string): Promise<[string, string][]> {
  const { exp, iss } = decodePart(current, 'claims');
  const past = Math.floor(Date.now() / 1_000) - 100;
  const other = '01920000-0000-7000-8000-000000000000';
  const changes: Readonly<Record<string, unknown>>[] = [
    { exp: past },
    { exp: past, aud: 'billing' },
    { aud: 'billing' },
    { aud: ['billing', 'api'] },
    { aud: [] },
    { aud: '' },
    { aud: [1] },
    { iss: 'https://other.example' },
    { iss: `${iss}/` },
    { iat: 9e9 },
    { nbf: 9e9 },
    { role: 'admin', scope: 'all' },
    { exp: `${exp}` },
    { exp: 1.5 },
    { auth_time: -1 },
    { sub: '' },
    { sub: 'ü' },
    { sid: other.replace('7', '4') },
    { jti: undefined },
    { client_id: 'a b' },
  ];

  const tokens: [string, string][] = [];
  for (const change of changes) tokens.push([JSON.stringify(change), await resignAccess(server, current, change)]);
  for (const [row, name, token] of await hostileTokens(server, current, 'http://127.0.0.1:1/')) {
    // No body can carry these; the verifier takes what it is given.
    if (!token.includes('\0')) tokens.push([`${row} ${name}`, token]);
  }
  return tokens;
}

describeOnBothDatabases('a verifier', (makeUrl) => {
  test('says of every token what /verify says', async () => {
    const { server, open, logout } = await setVerifierStage(await makeUrl(), { 'tokens.claims': ['role'] });
    await server.addClient('billing', { isPublic: true, audiences: ['billing', 'reports'] });
    await server.addClient('both', { isPublic: true, audiences: ['billing', 'api'] });
    const good = await server.login();
    const at = good.access_token;
    const over = await server.login();
    await logout(over);
    const verifier = open();
    expect(await verifier.verify(at)).toMatchObject({ active: true, claims: { sub: server.subject } });

    const old = await server.login();
    await rotateKeys(server.app, 'access');
    const current = (await server.login()).access_token;
    const tokens: [string, string][] = [
      ['good', at],
      ['for several audiences, one of them ours', (await server.login({ client_id: 'both' })).access_token],
      ['for others', (await server.login({ client_id: 'billing' })).access_token],
      ['of a session that is over', over.access_token],
      ['of the key before', old.access_token],
      ['of the key now', current],
      ['a refresh token', good.refresh_token],
      ['changed', tamper(at, 'claims', { sub: 'mallory' })],
      ['with a signature in another spelling', `${at.slice(0, -1)}${at.endsWith('A') ? 'B' : 'A'}`],
    ];
    tokens.push(...(await strangeTokens(server, current)));
    const seen = new Set<unknown>();
    for (const [name, token] of tokens) {
      const verdict = await verifier.verify(token);
      expect(verdict, name).toEqual(asVerdict(await server.verify(token)));
      seen.add(verdict.active ? 'active' : verdict.reason);
    }
    expect(seen).toEqual(new Set(['active', 'malformed', 'expired', 'wrong_audience', 'revoked']));
    for (const token of [undefined, null, 7, {}, '\0'])
      expect(await verifier.verify(token as string)).toEqual({ active: false, reason: 'malformed' });
  });

  test('hears of every end within a second, on whatever server it was', async () => {
    const url = await makeUrl();
    const { server, open, logout } = await setVerifierStage(url);
    const beside = await startTestServer({ url, beside: server, config: { issuer: server.app.config.issuer } });
    const verifier = open();
    const reused = await server.login();
    const [out, elsewhere] = [await server.login(), await server.login()];
    for (const { access_token } of [reused, out, elsewhere])
      expect(await verifier.verify(access_token)).toMatchObject({ active: true });

    await server.refresh(await server.refresh(reused));
    expect((await server.tryRefresh(reused)).status).toBe(401);
    expect(await timeUntil(verifier, reused.access_token, 'revoked')).toBeLessThan(1_000);
    await logout(out);
    expect(await timeUntil(verifier, out.access_token, 'revoked')).toBeLessThan(1_000);
    await beside.post('/logout', { refresh_token: elsewhere.refresh_token });
    expect(await timeUntil(verifier, elsewhere.access_token, 'revoked')).toBeLessThan(1_000);
    // One that begins now knows what was before it.
    expect(await open().verify(out.access_token)).toEqual({ active: false, reason: 'revoked' });
  });

  test('a compromised key ends in two seconds, for ever, and its successor is known at once', async () => {
    const { server, proxy, open } = await setVerifierStage(await makeUrl());
    const verifier = open();
    const before = await server.login();
    expect(await verifier.verify(before.access_token)).toMatchObject({ active: true });
    const published = await (await fetch(`${proxy.url}${JWKS}`)).text();
    const { kid } = (await server.app.keys.current()).access.active;
    await declareKeyCompromised(server.app, 'access', kid);
    expect(await timeUntil(verifier, before.access_token, 'revoked')).toBeLessThan(2_000);
    expect(await server.verify(before.access_token)).toEqual({ active: false, reason: 'revoked' });
    const after = await server.login();
    expect(await verifier.verify(after.access_token)).toMatchObject({ active: true });
    // A cache on the way that still publishes it changes nothing.
    proxy.spoil(JWKS, { status: 200, text: published });
    const unknown = tamper(after.access_token, 'header', { kid: 'x'.repeat(43) });
    await until(async () => {
      await verifier.verify(unknown);
      return proxy.requests.filter(({ path }) => path === JWKS).length > 3;
    }, 'the keys were asked for again');
    expect(await verifier.verify(before.access_token)).toEqual({ active: false, reason: 'revoked' });
  });

  test('a new beginning voids what was before, even what the server no longer knows of', async () => {
    const { server, open } = await setVerifierStage(await makeUrl());
    const verifier = open({ maxStaleness: '1s' });
    const forgotten = await server.login();
    expect(await verifier.verify(forgotten.access_token)).toMatchObject({ active: true });
    await server.app.store.write(startFeedEpoch);
    expect(await timeUntil(verifier, forgotten.access_token, 'revoked')).toBeLessThan(1_000);
    server.clock.advance(Date.now() + 1_000 - server.clock.now());
    const ended = await server.login();
    expect(await verifier.verify(ended.access_token)).toMatchObject({ active: true });
    await endAll(server.app, { revocation: { cause: 'restored' } });
    expect(await timeUntil(verifier, ended.access_token, 'revoked')).toBeLessThan(1_000);
  });

  test('without the server it is stale, rejects, and is itself again when the server is back', async () => {
    const { server, proxy, open, logout } = await setVerifierStage(await makeUrl());
    const strict = open({ maxStaleness: '600ms' });
    const lenient = open({ maxStaleness: '600ms', whenStale: 'accept' });
    const [good, over, known] = [await server.login(), await server.login(), await server.login()];
    await logout(known);
    for (const verifier of [strict, lenient]) {
      expect(await verifier.verify(good.access_token)).toMatchObject({ active: true });
      expect(verifier.status()).toEqual({ stale: false, fault: undefined });
    }

    proxy.spoilAll('never sent');
    await logout(over);
    await timeUntil(strict, good.access_token, 'stale');
    await until(() => lenient.status().stale, 'the other one is stale, too');
    expect(strict.status()).toEqual({ stale: true, fault: 'the auth server cannot be reached' });
    expect(await lenient.verify(good.access_token)).toMatchObject({ active: true });
    for (const verifier of [strict, lenient]) {
      // What it knows it knows.
      expect(await verifier.verify(known.access_token)).toEqual({ active: false, reason: 'revoked' });
      expect(await verifier.verify(tamper(good.access_token, 'claims', { sub: 'mallory' }))).toMatchObject({
        reason: 'malformed',
      });
    }

    proxy.spoilAll(undefined);
    const verdicts: unknown[] = [];
    await until(async () => {
      verdicts.push(await strict.verify(over.access_token));
      return !strict.status().stale;
    }, 'it hears again');
    expect(verdicts.filter((verdict) => (verdict as { active: boolean }).active)).toEqual([]);
    expect(await strict.verify(over.access_token)).toEqual({ active: false, reason: 'revoked' });
    expect(await strict.verify(good.access_token)).toMatchObject({ active: true });
    expect(strict.status()).toEqual({ stale: false, fault: undefined });
  });
});
