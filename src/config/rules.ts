/**
 * What must hold between keys, once each is right by itself; and what a running server asks beyond that. It stands apart
 * from the table because no single key can say it.
 */
import { formatDuration } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';
import type { Config } from './config.ts';
import type { Settings } from './schema.ts';
import type { Complaint } from './secret-source.ts';
import { isLoopback } from './values.ts';

/** A rule over some keys; it is judged only when all of them are right by themselves. */
interface Rule {
  readonly keys: readonly string[];
  /** The complaint begins with the path of the key at fault. */
  judge(settings: Settings): Complaint | undefined;
}

const needs = (path: string, isMissing: (settings: Settings) => boolean): Rule => ({
  keys: ['users.directory', path],
  judge: (settings) =>
    settings.users.directory === 'http' && isMissing(settings)
      ? { message: `${path} is needed with users.directory "http"`, remedy: `set ${path}, or users.directory "local"` }
      : undefined,
});

/** Whether what is sent to this URL can be read on its way: plain http, beyond this machine. */
const isExposed = (url: string | null): boolean =>
  url?.startsWith('http:') === true && !isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''));

/** Every password goes to it, and whoever answers in its place lets anybody in (security.md T21). */
const needsTls = (path: 'users.http.url' | 'users.http.statusUrl', name: 'url' | 'statusUrl'): Rule => ({
  keys: ['users.directory', path, 'server.insecure'],
  judge: ({ users, server }) =>
    users.directory === 'http' && !server.insecure && isExposed(users.http[name])
      ? {
          message: `${path} is plain http beyond loopback: passwords would travel in the clear`,
          remedy: 'use https; server.insecure true allows plain http on a network that nobody else is on',
        }
      : undefined,
});

/** What stops the start. */
export const RULES: readonly Rule[] = [
  {
    keys: ['tokens.accessTokenTtl', 'tokens.refreshTokenTtl'],
    judge: ({ tokens }) =>
      tokens.accessTokenTtl > tokens.refreshTokenTtl
        ? {
            message: `tokens.accessTokenTtl must be at most tokens.refreshTokenTtl, ${formatDuration(tokens.refreshTokenTtl)}`,
            remedy: 'an access token should live for minutes: "5m"',
          }
        : undefined,
  },
  needs('users.http.url', ({ users }) => users.http.url === null),
  needs('users.http.secret', ({ users }) => users.http.secret === null),
  needsTls('users.http.url', 'url'),
  needsTls('users.http.statusUrl', 'statusUrl'),
  {
    // Contract §6: claims are never stored and never copied from an old token, so a refresh must be able to ask.
    keys: ['tokens.claims', 'users.directory', 'users.http.statusUrl'],
    judge: ({ tokens, users }) =>
      users.directory === 'http' && tokens.claims.length > 0 && users.http.statusUrl === null
        ? {
            message: 'tokens.claims with users.directory "http" needs users.http.statusUrl',
            remedy: 'set users.http.statusUrl: a refresh asks there for the claims; or leave tokens.claims empty',
          }
        : undefined,
  },
];

/** What works, but hardly as meant. */
export function doubts(settings: Settings): string[] {
  const found: string[] = [];
  const { keys, server } = settings;
  if (keys.publishAhead > keys.rotateEvery) {
    found.push(
      'keys.publishAhead is longer than keys.rotateEvery: keys rotate only as often as they are published ahead',
    );
  }
  if (server.trustedProxies.some((block) => block.endsWith('/0'))) {
    found.push('server.trustedProxies trusts every address: any caller can claim to be another');
  }
  return found;
}

/** What a server that listens beyond this machine lacks (decision D12), or undefined. */
export function listenComplaint(config: Config): Complaint | undefined {
  const { listen, issuer, server } = config;
  if (isLoopback(listen.host) || issuer.startsWith('https://') || server.insecure) return undefined;
  return {
    message: `listen.host ${listen.host} is beyond loopback, but the issuer is not https: tokens would travel in the clear`,
    remedy: 'set issuer to the https URL of the proxy in front; server.insecure true allows plain http',
  };
}

/**
 * What `serve` asks beyond a valid configuration. Other commands do not listen, so that they are not hindered.
 * @throws Refusal configuration_invalid
 */
export function checkListen(config: Config): void {
  const complaint = listenComplaint(config);
  if (complaint !== undefined)
    throw new Refusal('configuration_invalid', complaint.message, { remedy: complaint.remedy });
}
