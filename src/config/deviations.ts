/**
 * Values that promise less than they could: limits longer than standards ask for, and switches turned the unsafe way. None
 * is a fault; `config show` marks them, so that whoever answers for the installation has seen them. It stands apart from
 * `rules.ts` because nothing here stops or warns anybody.
 */
import { DAY, type DurationMs, durationMs, formatDuration, HOUR, MINUTE } from '../domain/time.ts';
import type { Config } from './config.ts';
import { isLoopback } from './values.ts';

/** One key, the bound that is safe without further thought, and what is given up beyond it. */
export interface Deviation {
  readonly path: string;
  /** `at most 30d` */
  readonly bound: string;
  readonly cost: string;
  readonly deviates: (config: Config) => boolean;
}

/** NIST SP 800-63B, AAL1: a new login at least every 30 days. ASVS 7.1.1: a deviation is justified in writing. */
const LOGIN_EVERY = durationMs(30 * DAY);

const atMost = (path: string, limit: DurationMs, value: (config: Config) => number, cost: string): Deviation => ({
  path,
  bound: `at most ${formatDuration(limit)}`,
  cost,
  deviates: (config) => value(config) > limit,
});

const is = (path: string, bound: string, holds: (config: Config) => boolean, cost: string): Deviation => ({
  path,
  bound,
  cost,
  deviates: (config) => !holds(config),
});

/** In the order of the table of keys. */
export const DEVIATIONS: readonly Deviation[] = [
  is(
    'issuer',
    'https, or http on this machine',
    ({ issuer }) => issuer.startsWith('https:') || isLoopback(new URL(issuer).hostname.replace(/^\[|\]$/g, '')),
    'tokens travel in the clear',
  ),
  is('server.insecure', 'false', ({ server }) => !server.insecure, 'plain http is allowed beyond this machine'),
  atMost(
    'tokens.accessTokenTtl',
    durationMs(15 * MINUTE),
    ({ tokens }) => tokens.accessTokenTtl,
    'a verifier that does not ask the server accepts the tokens of an ended session as long',
  ),
  atMost(
    'tokens.refreshTokenTtl',
    LOGIN_EVERY,
    ({ tokens }) => tokens.refreshTokenTtl,
    'a stolen token that its owner does not miss is good as long; 30d is the login that NIST SP 800-63B AAL1 asks for',
  ),
  atMost(
    'tokens.familyMaxLifetime',
    LOGIN_EVERY,
    ({ tokens }) => tokens.familyMaxLifetime,
    'nobody proves again who they are for as long; NIST SP 800-63B asks for a login every 30d at AAL1, every 12h at AAL2',
  ),
  is(
    'tokens.idleTimeout',
    'at most 30d, and not null',
    ({ tokens }) => tokens.idleTimeout !== null && tokens.idleTimeout <= LOGIN_EVERY,
    'a forgotten session stays open until its refresh token expires',
  ),
  is(
    'tokens.refresh.leeway',
    '0s',
    ({ tokens }) => tokens.refresh.leeway === 0,
    'a thief who comes within it is not seen',
  ),
  atMost(
    'tokens.refresh.replayWindow',
    durationMs(HOUR),
    ({ tokens }) => tokens.refresh.replayWindow,
    'who has both a spent token and its Idempotency-Key gets the successor as long',
  ),
  is(
    'tokens.refresh.requireAccessToken',
    'true',
    ({ tokens }) => tokens.refresh.requireAccessToken,
    'a refresh token alone, of a copied backup or a log, is enough',
  ),
  atMost('keys.rotateEvery', LOGIN_EVERY, ({ keys }) => keys.rotateEvery, 'a key that got out unnoticed signs as long'),
  is(
    'login.maxFailuresPerUser',
    'at most 10',
    ({ login }) => login.maxFailuresPerUser <= 10,
    'more guesses at a password in each window',
  ),
  is(
    'login.maxFailuresPerAddress',
    'at most 100',
    ({ login }) => login.maxFailuresPerAddress <= 100,
    'one address may try more users in each window',
  ),
  is(
    'login.window',
    'at least 15m',
    ({ login }) => login.window >= 15 * MINUTE,
    'failures are forgotten sooner: more guesses in a day',
  ),
];

/** What to say of the value of this key; undefined when it is as safe as it should be. */
export function deviationOf(config: Config, path: string): string | undefined {
  const found = DEVIATIONS.find((one) => one.path === path);
  return found?.deviates(config) ? `${found.bound} is safe: ${found.cost}` : undefined;
}
