/** `auth-server/verifier` when something is wrong: the server away, its answers nonsense, the clock moved, the process idle. */
import { expect, test, vi } from 'vitest';
import { createVerifier, type Verifier, type VerifierOptions } from '../../src/sdk/verifier.ts';
import { makeDatabase } from '../support/databases.ts';
import { decodePart, tamper } from '../support/expectations.ts';
import { until } from '../support/until.ts';
import { FEED, JWKS, setVerifierStage } from './support.ts';

const AWAY = { status: 503, text: '{}' };

const sqlite = (): Promise<string> => makeDatabase('sqlite');

test('before the first answer it is stale, and takes no signature on trust', async () => {
  const { server, proxy, open } = await setVerifierStage(await sqlite());
  const { access_token } = await server.login();
  proxy.spoilAll('never sent');
  const stale = { active: false, reason: 'stale' };
  for (const whenStale of ['reject', 'accept'] as const) {
    const verifier = open({ whenStale });
    expect(verifier.status().stale).toBe(true);
    expect(await verifier.verify(access_token)).toEqual(stale);
    expect(verifier.status().stale).toBe(true);
  }
  // The keys are there, the feed is not.
  proxy.spoilAll(undefined);
  proxy.spoil(FEED, ...Array.from({ length: 20 }, () => AWAY));
  expect(await open().verify(access_token)).toEqual(stale);
  expect(await open({ whenStale: 'accept' }).verify(access_token)).toMatchObject({ active: true });
});

test('a server that does not answer holds up the first question for a moment, and no other', async () => {
  const { server, proxy, open } = await setVerifierStage(await sqlite());
  const { access_token } = await server.login();
  const silence = Promise.withResolvers<void>();
  proxy.spoil(FEED, ...Array.from({ length: 50 }, () => silence.promise));
  const verifier = open({ maxStaleness: '2s' });
  const ask = async (): Promise<number> => {
    const began = performance.now();
    expect(await verifier.verify(access_token)).toEqual({ active: false, reason: 'stale' });
    return performance.now() - began;
  };
  expect(await ask()).toBeLessThan(2_000);
  await until(() => verifier.status().fault !== undefined, 'it is known to be away');
  const times: number[] = [];
  await until(async () => {
    times.push(await ask());
    return proxy.count(FEED) >= 4;
  }, 'it has tried again and again');
  expect(Math.max(...times)).toBeLessThan(400);
  silence.resolve();
});

test('an unknown key is asked for once by any number, and not again for a second', async () => {
  const { server, proxy, open } = await setVerifierStage(await sqlite());
  const verifier = open();
  const { access_token } = await server.login();
  await Promise.all(Array.from({ length: 50 }, () => verifier.verify(access_token)));
  expect(proxy.count(JWKS)).toBe(1);
  expect(proxy.count(FEED)).toBeLessThanOrEqual(2);

  // Whoever makes up names of keys makes no more than one request a second.
  const invented = Array.from({ length: 200 }, (_, index) =>
    tamper(access_token, 'header', { kid: String(index).padStart(43, 'x') }),
  );
  const began = performance.now();
  for (const token of invented) expect(await verifier.verify(token)).toEqual({ active: false, reason: 'malformed' });
  expect(proxy.count(JWKS) - 1).toBeLessThanOrEqual(Math.floor((performance.now() - began) / 1_000) + 1);
  expect(await verifier.verify(access_token)).toMatchObject({ active: true });
});

test.each<[string, string]>([
  ['no JSON', '<html>'],
  ['null', 'null'],
  ['no entries', '{"cursor":"a.1","reset":true}'],
  ['no cursor', '{"entries":[],"reset":true}'],
  ['no reset', '{"entries":[],"cursor":"a.1"}'],
  ['an entry that is nothing', '{"entries":[null],"cursor":"a.1","reset":true}'],
  [
    'an entry of an unknown kind',
    '{"entries":[{"cursor":"a.1","sub":"x","revoked_at":"2026-01-01T00:00:00.000Z","until":"2026-01-01T00:05:00.000Z"}],"cursor":"a.1","reset":true}',
  ],
  ['an entry without a time', '{"entries":[{"cursor":"a.1","sid":"x"}],"cursor":"a.1","reset":true}'],
])('nonsense is no news: %s', async (_name, text) => {
  const { server, proxy, open } = await setVerifierStage(await sqlite());
  const { access_token } = await server.login();
  proxy.spoil(FEED, { status: 200, text });
  const verifier = open();
  expect(await verifier.verify(access_token)).toEqual({ active: false, reason: 'stale' });
  expect(verifier.status()).toEqual({ stale: true, fault: expect.stringMatching(/feed|reached/) });
  await until(async () => (await verifier.verify(access_token)).active, 'it hears of sense');
});

test('a wrong secret is said, and the secret is not; a redirect does not carry it away', async () => {
  const { server, proxy, open } = await setVerifierStage(await sqlite());
  const { access_token } = await server.login();
  const clientSecret = 'not-the-secret-of-api';
  const verifier = open({ clientSecret });
  expect(await verifier.verify(access_token)).toEqual({ active: false, reason: 'stale' });
  const { fault } = verifier.status();
  expect(fault).toBe('the revocation feed answers 401 invalid_client; look at clientId and clientSecret');

  proxy.spoil(FEED, { status: 307, text: '', headers: { location: `${proxy.url}/elsewhere` } });
  expect(await open().verify(access_token)).toEqual({ active: false, reason: 'stale' });
  expect(proxy.count('/elsewhere')).toBe(0);
});

test.each<[Partial<VerifierOptions>, string]>([
  [{ issuer: 'auth' }, 'issuer'],
  [{ audience: [] }, 'audience'],
  [{ clientId: 'a b' }, 'clientId'],
  [{ clientSecret: 'with space' }, 'clientSecret'],
  [{ maxStaleness: '10' }, 'maxStaleness'],
  [{ maxStaleness: '0s' }, 'maxStaleness'],
  [{ whenStale: 'perhaps' as never }, 'whenStale'],
])('options that cannot work are refused at once: %j', (wrong, name) => {
  const options = { issuer: 'https://auth.example', audience: 'api', clientId: 'api', clientSecret: 'secret' };
  const open = (): Verifier => createVerifier({ ...options, ...wrong });
  expect(open).toThrow(TypeError);
  expect(open).toThrow(`${name} has to be`);
  expect(open).not.toThrow('with space');
});

test('a machine that has slept, or a clock that was moved, is not fresh by its own account', async () => {
  const { server, proxy, open, logout } = await setVerifierStage(await sqlite());
  const verifier = open();
  const [good, over] = [await server.login(), await server.login()];
  expect(await verifier.verify(good.access_token)).toMatchObject({ active: true });
  await until(() => proxy.count(FEED) >= 2, 'it waits for news');
  await until(() => verifier.status().fault === undefined, 'all is well');
  // Nothing that was said meanwhile got through, as when the machine slept.
  const hold = Promise.withResolvers<void>();
  proxy.spoilAll(hold.promise);
  const real = Date.now;
  vi.spyOn(Date, 'now').mockImplementation(() => real() + 60_000);
  expect(verifier.status().stale).toBe(true);
  await logout(over);
  proxy.spoilAll(undefined);
  expect(await verifier.verify(over.access_token)).toEqual({ active: false, reason: 'revoked' });
  expect(await verifier.verify(good.access_token)).toMatchObject({ active: true });
  hold.resolve();
});

test('one that nobody asks lets go of the feed, and catches up at the next question', async () => {
  const { server, proxy, open, logout } = await setVerifierStage(await sqlite());
  const verifier = open({ maxStaleness: '300ms' });
  const { access_token, refresh_token } = await server.login();
  expect(await verifier.verify(access_token)).toMatchObject({ active: true });
  await until(() => verifier.status().stale, 'it has let go');
  const asked = proxy.count(FEED);
  await logout({ refresh_token });
  expect(await verifier.verify(access_token)).toEqual({ active: false, reason: 'revoked' });
  expect(proxy.count(FEED)).toBeGreaterThan(asked);

  verifier.close();
  const last = proxy.count(FEED);
  expect(await verifier.verify((await server.login()).access_token)).toEqual({ active: false, reason: 'stale' });
  expect(proxy.count(FEED)).toBe(last);
});

test.each(['EdDSA', 'RS256'])('%s keys are understood, too', async (algorithm) => {
  const { server, open } = await setVerifierStage(await sqlite(), { 'tokens.signingAlgorithm': algorithm });
  const { access_token } = await server.login();
  expect(decodePart(access_token, 'header').alg).toBe(algorithm);
  const verifier = open({ audience: ['other', 'api'] });
  expect(await verifier.verify(access_token)).toMatchObject({ active: true });
  const last = access_token.split('.')[2] ?? '';
  const changed = `${access_token.slice(0, -last.length)}${last.startsWith('A') ? 'B' : 'A'}${last.slice(1)}`;
  expect(await verifier.verify(changed)).toEqual({ active: false, reason: 'malformed' });
});
