/**
 * The user directory as a service of its own (contract §6): what is asked, and what its answers mean. Nothing that it says is
 * stored but the subject; the `users` table stays empty.
 */
import { parseSubject } from '../domain/ids.ts';
import { type Claims, letThrough, type UserDirectory } from '../domain/user-directory.ts';
import { nonsense, openUserService, type Reply, type UserServiceOptions } from './user-service.ts';

/** Bytes of the claims that are let through, as JSON: with them an access token stays below 8 KiB. */
const CLAIMS_LIMIT = 4_096;

/** Its `url` is where a login is asked. */
export interface RemoteOptions extends UserServiceOptions {
  /** Without it a refresh asks nobody. */
  readonly statusUrl: string | null;
  /** `tokens.claims`: the names that are let through; nothing else of the claims is looked at. */
  readonly claims: readonly string[];
}

/** `401`, `403` and `404` say no, whatever their body is. */
const NO: ReadonlySet<number> = new Set([401, 403, 404]);

/**
 * Asks once, and trusts an answer only as far as contract §6 spells it; any other is `user_directory_unavailable`.
 * `status` is undefined without a `statusUrl`.
 */
export function remoteDirectory(options: RemoteOptions): UserDirectory {
  const askForLogin = openUserService('users.http.url', options);
  return {
    async authenticate({ username, password, clientId, ip, userAgent }) {
      const reply = await askForLogin({
        username,
        password: password.reveal(),
        client_id: clientId,
        ip,
        user_agent: userAgent,
      });
      if (NO.has(reply.status)) return { kind: 'rejected' };
      // It becomes part of headers, logs and events: text that could be anything else is no subject.
      const subject = parseSubject(membersOf(reply).sub);
      if (subject === undefined) throw nonsense('sub is not 1 to 255 visible ASCII characters');
      return { kind: 'authenticated', subject, claims: claimsOf(reply, options.claims), evidence: null };
    },
    status: options.statusUrl === null ? undefined : askForStatus(options, options.statusUrl),
    close: async () => undefined,
  };
}

/** Each address has its own breaker: one that is ill says nothing of the other. */
function askForStatus(options: RemoteOptions, url: string): NonNullable<UserDirectory['status']> {
  const ask = openUserService('users.http.statusUrl', { ...options, url });
  return async (subject) => {
    const reply = await ask({ sub: subject });
    // No status but 200 says anything: a wrong path in the configuration must not end every session.
    const { active } = membersOf(reply);
    if (typeof active !== 'boolean') throw nonsense('active is not true or false');
    return active ? { kind: 'active', claims: claimsOf(reply, options.claims) } : { kind: 'disabled' };
  };
}

function membersOf({ status, members }: Reply): Reply['members'] {
  if (status !== 200) throw nonsense(`it answered ${status}`);
  return members;
}

/** Only what is let through, small enough to travel in every access token. */
function claimsOf({ members }: Reply, names: readonly string[]): Claims {
  const { claims = {} } = members;
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) throw nonsense('claims is not an object');
  const passed = letThrough(claims as Claims, names);
  if (jsonLength(passed) > CLAIMS_LIMIT) throw nonsense(`claims that are let through are over ${CLAIMS_LIMIT} bytes`);
  return passed;
}

/** Infinite for what is nested deeper than JSON can be written. */
function jsonLength(value: Claims): number {
  try {
    return Buffer.byteLength(JSON.stringify(value));
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
