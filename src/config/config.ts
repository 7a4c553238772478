/**
 * The configuration as the program uses it: durations are milliseconds, secrets are `Secret`. Derived from the table in
 * `schema.ts`, it stands alone so that those who only read it depend on types and nothing else.
 */

import type { Secret } from '../domain/secret.ts';
import type { DurationMs } from '../domain/time.ts';
import type { Settings } from './schema.ts';

export type { SecretSource } from './secret-source.ts';

/** The user service. */
export interface UserService {
  readonly url: string;
  readonly statusUrl: string | null;
  readonly secret: Secret;
  readonly timeout: DurationMs;
}

/** The table of `schema.ts`, with what depends on other keys filled in. Sizes are bytes. */
export interface Config extends Omit<Settings, 'issuer' | 'users'> {
  readonly issuer: string;
  readonly users: {
    readonly directory: Settings['users']['directory'];
    /** Set exactly when `directory` is `http`. */
    readonly http: UserService | null;
  };
}
